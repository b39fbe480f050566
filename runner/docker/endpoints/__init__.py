"""Docker endpoints: finds which engine is meant and connects to it over a Unix socket, TCP, TLS or ssh."""
