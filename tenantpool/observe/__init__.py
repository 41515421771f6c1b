"""What operators see of the service over HTTP: metrics, health checks and the dashboard."""
