"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# How long an example takes to draw or to run says more about the machine than about the code.
settings.register_profile("spanhouse", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("spanhouse")
