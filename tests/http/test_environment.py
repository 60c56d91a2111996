"""A Ray that is to be joined and is not there is named at once."""

from __future__ import annotations

import re
import socket

import pytest

from ray_downloader.cluster.environment import refuse_silent
from ray_downloader.errors import UserError


@pytest.mark.parametrize("form", ["127.0.0.1:{port}", "ray://127.0.0.1:{port}"])
def test_an_address_where_nobody_listens_is_refused(form: str) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = form.format(port=bound.getsockname()[1])
        with pytest.raises(UserError, match=re.escape(f"cluster.address={address}: Connection refused")):
            refuse_silent(address)
        bound.listen()
        refuse_silent(address)


def test_a_word_that_ray_resolves_is_left_to_it() -> None:
    refuse_silent("auto")
