"""Who looks and asks: tray, notifications, status page, agent, doctor."""
