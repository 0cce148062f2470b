"""The status page: served on loopback to the browser that the applet opened, and to nobody else."""
