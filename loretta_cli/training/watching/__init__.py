"""What a watch over a training looks at: losses, trained tensors, evaluations, rows; and what it says."""
