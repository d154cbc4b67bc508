"""The gateway: an ASGI app that relays, records and routes; it never gets in the way."""
