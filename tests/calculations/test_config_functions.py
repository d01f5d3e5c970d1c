from aiida import orm

from aiida_mlip_autopipe.calculations.config_functions import SECTIONS, stage_settings


def test_each_stage_has_its_section(full_config):
    config = full_config(worker={'options': {'walltime': 77}})
    found = stage_settings(orm.Dict(config))
    assert {name: found[name].get_dict() for name in SECTIONS} == {name: config[name] for name in SECTIONS}
    assert found['options']['walltime'] == 77
    assert found['train'].creator.inputs.config.get_dict() == config
