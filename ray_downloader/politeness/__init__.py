"""The law of politeness, as pure code: no clock, no chance, no network, no Ray. Time and randomness are arguments."""
