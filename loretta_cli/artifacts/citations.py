"""What a model card cites. Imports config only."""

from __future__ import annotations

from loretta_cli.config import Config

LORETTA = """\
@inproceedings{yang-etal-2024-loretta,
  title = {{LoRETTA}: Low-Rank Economic Tensor-Train Adaptation for Ultra-Low-Parameter
           Fine-Tuning of Large Language Models},
  author = {Yang, Yifan and Zhou, Jiajun and Wong, Ngai and Zhang, Zheng},
  booktitle = {Proceedings of NAACL 2024},
  year = {2024}
}"""
MEZO = """\
@inproceedings{malladi-etal-2023-mezo,
  title = {Fine-Tuning Language Models with Just Forward Passes},
  author = {Malladi, Sadhika and Gao, Tianyu and Nichani, Eshaan and Damian, Alex and Lee, Jason D.
            and Chen, Danqi and Arora, Sanjeev},
  booktitle = {Advances in Neural Information Processing Systems 36},
  year = {2023}
}"""
ADAZETA = """\
@inproceedings{yang-etal-2024-adazeta,
  title = {{AdaZeta}: Adaptive Zeroth-Order Tensor-Train Adaption for Memory-Efficient Large Language
           Models Fine-Tuning},
  author = {Yang, Yifan and Zhen, Kai and Banijamali, Ershad and Mouchtaris, Athanasios and Zhang, Zheng},
  booktitle = {Proceedings of EMNLP 2024},
  year = {2024}
}"""


def citations(config: Config) -> str:
    """BibTeX of LoRETTA's paper, and of those about zeroth-order training where a run trained so."""
    papers = [LORETTA, *([MEZO, ADAZETA] if config.training.gradient == "zo" else [])]
    return "\n\n".join(papers)
