"""What a person sees and clicks."""
