"""What a run leaves behind: the run folder, checkpoints, merged models, exports, the model card."""
