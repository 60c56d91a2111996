"""Whether a transfer is too slow to go on with, for libraries that do not watch it themselves. Pure."""

from __future__ import annotations


class LowSpeedLimit:
    """Judges the average speed over consecutive windows, much as curl's `--speed-limit` and `--speed-time`.

    Args:
        bytes_per_s: Slower than this is too slow.
        window_s: Length of a window.
        now_s: When the transfer began.
    """

    def __init__(self, bytes_per_s: float, window_s: float, now_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._window_s = window_s
        self._since_s = now_s
        self._size_bytes = 0

    def keeps_up(self, size_bytes: int, now_s: float) -> bool:
        """Count `size_bytes` that have arrived; False once a whole window was too slow."""
        self._size_bytes += size_bytes
        elapsed_s = now_s - self._since_s
        if elapsed_s < self._window_s:
            return True
        is_fast_enough = self._size_bytes >= self._bytes_per_s * elapsed_s
        self._since_s, self._size_bytes = now_s, 0
        return is_fast_enough
