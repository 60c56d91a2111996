"""The only package that imports Ray: starts or joins it, and carries calls between driver, tasks and actors."""
