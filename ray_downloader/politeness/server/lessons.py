"""What refusals taught, by the refused URL; taken back if a refusal turns out to be about its URL. Pure."""

from __future__ import annotations

from ray_downloader.politeness.server.rate import AdaptiveRate, Lesson

#: How many refusals are remembered.
KEPT = 16


class Lessons:
    """The last refusals that changed a server's rate.

    Args:
        rate: The rate that they changed.
    """

    __slots__ = ("_rate", "_taught")

    def __init__(self, rate: AdaptiveRate) -> None:
        self._rate = rate
        self._taught: list[tuple[int, Lesson]] = []

    def refused(self, url_hash: int, now_s: float, resumes_s: float, sent_s: float, *, is_bare: bool = False) -> None:
        """A request was refused; `is_bare`: the server did not say how long to wait."""
        self._keep(url_hash, self._rate.on_incident(now_s, resumes_s, sent_s, may_be_url=is_bare))

    def banned(self, url_hash: int, now_s: float, resumes_s: float, sent_s: float) -> None:
        """The last of several requests in a row was forbidden."""
        self._keep(url_hash, self._rate.on_incident(now_s, resumes_s, sent_s, may_be_noise=False))

    def _keep(self, url_hash: int, lesson: Lesson) -> None:
        self._taught.append((url_hash, lesson))
        del self._taught[:-KEPT]

    def refused_for_long(self, now_s: float, resumes_s: float, sent_s: float) -> None:
        """The request after a pause of seconds was refused, too, so the pause is now long."""
        if not self._taught:
            self.refused(0, now_s, resumes_s, sent_s)
            return
        url_hash, lesson = self._taught.pop()
        self._taught.append((url_hash, self._rate.learn_with_care(lesson, resumes_s)))

    def was_odd(self, url_hash: int) -> None:
        """That URL is refused while others are served: forget what it taught.

        If another refusal came after it, the lesson of that one now starts from what was known before both.
        """
        found = [number for number, (taught_by, _) in enumerate(self._taught) if url_hash and taught_by == url_hash]
        if not found:
            return
        number = found[-1]
        _, lesson = self._taught.pop(number)
        if number == len(self._taught):
            self._rate.unlearn(lesson)
        else:
            self._taught[number] = (self._taught[number][0], lesson)
