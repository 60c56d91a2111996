import io
from urllib.parse import quote, urlsplit

import pytest
from PIL import Image

from ray_downloader.demo.answers import Answer, Answers, TrueLimit, garbled
from ray_downloader.demo.pictures import VARIANTS, PictureShelf, picture
from ray_downloader.demo.scenario import DemoImage, Fault, demo_images


class Flat:
    """A shelf on which every file is the same few bytes."""

    BYTES = bytes(range(100))


@pytest.fixture
def answers() -> Answers:
    formats = ("jpeg", "png", "webp", "gif")
    return Answers(PictureShelf({(name, number): Flat.BYTES for name in formats for number in range(VARIANTS)}))


def first_with(fault: Fault) -> DemoImage:
    return next(image for image in demo_images() if image.fault is fault)


def ask(answers: Answers, image: DemoImage, now_s: float = 0.0) -> Answer:
    return answers.decide(f"{image.server.ascii_host}:{image.server.port}", quote(image.path), now_s)


def test_a_healthy_image_is_answered_with_its_file(answers: Answers) -> None:
    answer = ask(answers, first_with(Fault.NONE))
    assert (answer.status, answer.body) == (200, Flat.BYTES)
    assert answer.headers["Content-Type"] == "image/jpeg"


def test_a_query_does_not_change_the_answer(answers: Answers) -> None:
    assert answers.decide("images.museum.example", "/images/00001.jpeg?1625090991", 0.0).status == 200


@pytest.mark.parametrize(
    ("fault", "status", "size_bytes"),
    [(Fault.WEB_PAGE, 200, None), (Fault.MISSING, 404, None), (Fault.EMPTY, 200, 0), (Fault.HALF_A_PICTURE, 200, 50)],
)
def test_a_fault_shows_in_status_and_body(answers: Answers, fault: Fault, status: int, size_bytes: int | None) -> None:
    answer = ask(answers, first_with(fault))
    assert answer.status == status
    assert answer.body != Flat.BYTES
    assert size_bytes is None or len(answer.body) == size_bytes


def test_an_opted_out_image_says_so(answers: Answers) -> None:
    assert ask(answers, first_with(Fault.OPTED_OUT)).headers["X-Robots-Tag"] == "noai, noimageai"


def test_a_drip_never_ends_by_itself(answers: Answers) -> None:
    assert ask(answers, first_with(Fault.DRIP)).drip


def test_a_server_is_busy_for_some_of_its_requests_whatever_they_ask_for(answers: Answers) -> None:
    busy = next(image for image in demo_images() if image.server.busy)
    asked = [ask(answers, busy) for _ in range(busy.server.busy.stop + 1)]
    refused = [number for number, answer in enumerate(asked) if answer.status == 503]
    assert refused == list(busy.server.busy)
    assert {asked[number].headers["Retry-After"] for number in refused} == {"1"}


def test_a_server_that_hung_up_answers_the_second_time(answers: Answers) -> None:
    image = first_with(Fault.HANGS_UP_AT_FIRST)
    assert [ask(answers, image).hang_up for _ in range(3)] == [True, False, False]


def test_a_redirect_names_another_server(answers: Answers) -> None:
    image = first_with(Fault.REDIRECT)
    answer = ask(answers, image)
    assert answer.status == 302
    assert urlsplit(answer.headers["Location"]).hostname != image.server.ascii_host


def test_robots_txt_exists_only_where_planned(answers: Answers) -> None:
    assert b"Crawl-delay: 0.1" in answers.decide("zoo.example", "/robots.txt", 0.0).body
    assert answers.decide("images.museum.example", "/robots.txt", 0.0).status == 404


def test_a_wrong_host_is_told_so(answers: Answers) -> None:
    assert answers.decide("elsewhere.example", "/", 0.0).status == 421


def test_a_limited_server_refuses_what_is_above_its_rate_and_says_when_to_come_back(answers: Answers) -> None:
    asked = [answers.decide("media.herbarium.example", "/images/00001.jpeg", 0.0) for _ in range(10)]
    refused = [answer for answer in asked if answer.status == 429]
    assert 0 < len(refused) < 10
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)


def test_a_true_limit_lets_exactly_its_rate_through_in_the_long_run() -> None:
    limit = TrueLimit(rate_rps=10.0)
    let_through = sum(limit.wait_s(moment / 100) == 0.0 for moment in range(10_000))
    assert 1_000 <= let_through <= 1_007


def test_a_garbled_picture_keeps_its_size_in_bytes_and_pixels_but_cannot_be_decoded() -> None:
    whole = picture("jpeg", 2)
    spoilt = garbled(whole)
    assert len(spoilt) == len(whole)
    with Image.open(io.BytesIO(whole)) as before, Image.open(io.BytesIO(spoilt)) as after:
        assert before.size == after.size
        with pytest.raises(OSError, match="broken data stream"):
            after.load()
