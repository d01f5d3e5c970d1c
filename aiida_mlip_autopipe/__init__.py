"""An AiiDA plugin that turns a description of a material into a trained, tested machine-learning interatomic potential."""

__version__ = '0.1.0'
