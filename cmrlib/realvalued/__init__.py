"""Real-valued deep models: their losses, encoders and training."""
