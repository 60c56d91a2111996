"""What tests share: a loopback origin server with every misbehaviour, and how to start and question it."""
