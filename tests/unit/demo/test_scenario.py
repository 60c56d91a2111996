from collections import Counter

from ray_downloader.demo.scenario import SERVERS, Fault, demo_images


def test_there_are_many_servers_with_names_of_their_own() -> None:
    assert len({server.ascii_host for server in SERVERS}) == len(SERVERS) >= 30


def test_no_name_can_reach_the_internet() -> None:
    assert all(server.host.endswith(".example") for server in SERVERS)


def test_no_two_images_share_an_address() -> None:
    urls = [image.url for image in demo_images()]
    assert len(urls) == len(set(urls))


def test_every_fault_occurs() -> None:
    assert set(Fault) == {image.fault for image in demo_images()}


def test_no_image_has_two_faults() -> None:
    for server in SERVERS:
        numbers = Counter(number for faulty in server.faults.values() for number in faulty)
        assert all(count == 1 for count in numbers.values()), server.host
        assert all(number < server.images for number in numbers), server.host


def test_a_redirect_leads_to_an_image_and_a_loop_to_itself() -> None:
    images = {image.url: image for image in demo_images()}
    for image in images.values():
        if image.fault is Fault.REDIRECT:
            assert image.redirect_url is not None and images[image.redirect_url].fault is Fault.NONE
        if image.fault is Fault.REDIRECT_LOOP:
            assert image.redirect_url == image.url
