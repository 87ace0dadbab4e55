import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported, so before conftest.py is
