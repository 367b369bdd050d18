import pytest
from hypothesis import settings
from pytest_socket import disable_socket

# A busy machine is no failure. With the variable CI, Hypothesis tries the same examples each time by itself.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _no_network() -> None:
    disable_socket()
