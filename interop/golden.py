"""Writes the golden files of the weight import, in trainer/tests/golden: weights, and the logits PyTorch has for them.

    pip install torch numpy safetensors
    pip download recbole==1.2.1 --no-deps && unzip recbole-1.2.1-py3-none-any.whl -d recbole
    python interop/golden.py recbole

RecBole's own source is run, without the packages that only its trainer needs.
"""

import importlib
import json
import sys
import types
from pathlib import Path

import torch
from safetensors.torch import save_file

from sasrec import SasRec

FOLDER = Path(__file__).parent.parent / "trainer/tests/golden"
ITEMS, WINDOW, HEADS, BLOCKS, DIM, INNER = 23, 6, 2, 2, 8, 12
# Item rows: one item, fewer than the window, as many, more.
HISTORIES = [[4], [0, 22, 7], [1, 2, 3, 4, 5, 6], [9, 9, 0, 14, 3, 21, 11, 5, 2]]


def recbole_model(source):
    """RecBole's SASRec from the unpacked wheel in the folder `source`."""
    root = Path(source) / "recbole"
    for name in ["recbole", "recbole.model", "recbole.model.sequential_recommender", "recbole.utils"]:
        package = types.ModuleType(name)
        package.__path__ = [str(root.parent / name.replace(".", "/"))]
        sys.modules[name] = package
    enums = importlib.import_module("recbole.utils.enum_type")
    vars(sys.modules["recbole.utils"]).update(vars(enums), set_color=lambda text, *_: text)
    config = {
        "n_layers": BLOCKS, "n_heads": HEADS, "hidden_size": DIM, "inner_size": INNER,
        "hidden_dropout_prob": 0.5, "attn_dropout_prob": 0.5, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
        "initializer_range": 0.02, "loss_type": "CE", "USER_ID_FIELD": "user", "ITEM_ID_FIELD": "item",
        "LIST_SUFFIX": "_list", "ITEM_LIST_LENGTH_FIELD": "length", "NEG_PREFIX": "neg_",
        "MAX_ITEM_LIST_LENGTH": WINDOW, "device": "cpu",
    }  # fmt: skip
    dataset = types.SimpleNamespace(num=lambda _: ITEMS + 1)
    return importlib.import_module("recbole.model.sequential_recommender.sasrec").SASRec(config, dataset)


def livelier(model):
    """Weights that leave no part of the model idle: every bias counts, every norm scales and shifts."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            start = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
            parameter.copy_(start + 0.3 * torch.randn_like(parameter))
    return model.eval()


def recbole_logits(model, history):
    """RecBole's scores [items + 1] after item rows: ids from 1, padded to the right; column 0 is padding's."""
    recent = [row + 1 for row in history[-WINDOW:]]
    sequence = torch.tensor([recent + [0] * (WINDOW - len(recent))])
    with torch.no_grad():
        return model.full_sort_predict({"item_list": sequence, "length": torch.tensor([len(recent)])})[0]


def write(name, model, logits, about):
    save_file(model.state_dict(), FOLDER / f"{name}.safetensors")
    cases = [{"history": history, "logits": logits(model, history).tolist()} for history in HISTORIES]
    about |= {"torch": torch.__version__, "heads": HEADS, "cases": cases}
    (FOLDER / f"{name}.json").write_text(json.dumps(about) + "\n")


def main():
    torch.manual_seed(1)
    for activation in ["gelu", "relu"]:
        model = livelier(SasRec(ITEMS, WINDOW, DIM, INNER, BLOCKS, HEADS, activation))
        write(f"pytorch-{activation}", model, SasRec.logits, {"activation": activation})
    about = {"activation": "gelu", "recbole": "1.2.1"}
    write("recbole", livelier(recbole_model(sys.argv[1])), recbole_logits, about)


if __name__ == "__main__":
    main()
