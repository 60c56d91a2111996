import pytest

from ray_downloader import __version__
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


def test_the_whole_header() -> None:
    assert user_agent(None) == f"ray_downloader/{__version__} (image dataset research)"
    assert user_agent("me@lab.org") == f"ray_downloader/{__version__} (+me@lab.org; image dataset research)"


@pytest.mark.parametrize("contact", ["a)b", "a(b", "tab\there", "\x7f"])
def test_what_would_end_the_comment_or_cannot_be_printed_is_refused(contact: str) -> None:
    with pytest.raises(UserError, match=r"cannot be part of a User-Agent"):
        user_agent(contact)


def test_a_page_for_operators_comes_before_the_contact() -> None:
    assert "(+https://a.example/bot; +me@a.example; image" in user_agent("me@a.example", "https://a.example/bot")
    assert user_agent("https://a.example", "https://a.example") == user_agent("https://a.example")
    with pytest.raises(UserError, match=r"politeness\.info_url="):
        user_agent(None, "https://a.example/(bot)")
