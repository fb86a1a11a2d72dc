"""The data plane: what stands in front of models and features on live traffic."""
