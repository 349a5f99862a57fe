"""The one error of exports and imports. Apart from them, so that catching it loads neither."""


class ExchangeError(ValueError):
    """Something asked for is not there or cannot be; the message says what to do."""
