"""Test doubles that really speak: servers on a socket, not mocks in a module."""
