"""The network that ships: its stages (face, voice, fusion), calibration, evaluation, model card."""
