"""The report of a physics gate, as `PropertiesWorkChain` makes it."""

from typing import Any

ROW: dict[str, Any] = {
    'crystal': 'Al',
    'property': 'eos',
    'quantity': 'V0',
    'unit': 'Å³/atom',
    'potential': 15.55,
    'reference': 15.6,
    'error': -0.05,
    'threshold': 0.156,
    'passed': True,
    'note': '',
}
SHEAR = {**ROW, 'property': 'elastic', 'quantity': 'C44', 'unit': 'GPa', 'potential': 33.96, 'reference': 43.91, 'error': -9.952}
REPORT: dict[str, Any] = {
    'passed': False,
    'rows': [
        ROW,
        {**SHEAR, 'threshold': 6.587, 'passed': False},
        {
            **ROW,
            'quantity': 'B0',
            'reference': None,
            'error': None,
            'threshold': None,
            'passed': False,
            'note': 'reference: <none>',
        },
        {
            **ROW,
            'property': 'expansion',
            'quantity': 'V(300 K)',
            'reference': None,
            'error': None,
            'threshold': None,
            'passed': None,
        },
    ],
    'crystals': ['Al'],
    'curves': {'Al': {'potential': [[15.0, -3.2], [16.0, -3.4]], 'reference': [[15.0, -53.2], [16.0, -53.5]]}},
    'n_reference': 15,
    'n_reused': 9,
    'failures': ['MD at constant pressure failed: an atom was lost'],
}
