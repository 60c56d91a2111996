import pytest

from ray_downloader.errors import UserError
from ray_downloader.politeness.headers.user_agent import PRODUCT_TOKEN, user_agent


def test_the_user_agent_names_program_version_and_contact() -> None:
    assert user_agent("mailto:me@lab.example").startswith(f"{PRODUCT_TOKEN}/0.")
    assert "(+mailto:me@lab.example;" in user_agent("mailto:me@lab.example")


def test_it_never_claims_to_be_a_browser() -> None:
    assert "Mozilla" not in user_agent(None)


@pytest.mark.parametrize("contact", ["me\r\nX-Evil: 1", "Jürgen", "me (at) lab"])
def test_a_contact_that_breaks_the_header_is_refused(contact: str) -> None:
    with pytest.raises(UserError, match=r"politeness\.contact"):
        user_agent(contact)
