"""Configuration: composed by Hydra, validated once into frozen models, explained in sentences where it is wrong."""
