import pytest

from tests.backends import backend_of


# Of the session, so that hypothesis may use it.
@pytest.fixture(params=["cpu", "cuda"], scope="session")
def backend(request):
    return backend_of(request.param)


@pytest.fixture(scope="session")
def cuda():
    return backend_of("cuda")
