"""When a passing failure is tried again: exponential backoff with full jitter. Pure."""


def backoff(attempt: int, *, base: float, cap: float, jitter: float) -> float:
    """Seconds to wait after a failed attempt.

    Full jitter spreads the retries of many syncs that failed at the same moment over the whole
    interval, so that they do not come back as one.

    Args:
        attempt: the attempt that failed, from 1.
        base: seconds; the longest wait after the first attempt.
        cap: seconds; the longest wait of all.
        jitter: a random number in [0, 1].

    Returns:
        At least a tenth of the interval, so that a run of small random numbers is no busy loop.
    """
    # 2**60 seconds are beyond any cap; larger powers would overflow a float.
    interval = min(cap, base * 2.0 ** min(attempt - 1, 60))
    return interval * max(0.1, jitter)
