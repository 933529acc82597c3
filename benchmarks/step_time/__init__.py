"""Time and memory of a training step: adp and rep beside LoRA, a dense adapter and plain forwards.

``python -m benchmarks.step_time --help`` tells how to run it. A case is a model with a batch; a contender
is a way to train it (or not to). All contenders of a case live in one process on the same frozen
weights and take turns, so that whatever slows the machine down slows all of them.
"""
