"""Configuration: composed by Hydra, validated once into frozen models; mistakes are explained in plain sentences."""
