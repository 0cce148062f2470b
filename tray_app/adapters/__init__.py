"""The world: authorization servers, token stores, the configuration file, the platform."""
