"""How hypothesis runs here: nothing is timed, because machines that share their cores are slow now and then."""

from hypothesis import HealthCheck, settings

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
