from aiida_mlip_autopipe.workflows.one_shot import OneShotWorkChain


def test_one_round_from_structures_to_a_potential(walk, children, config):
    found = walk(OneShotWorkChain, children, config=config())
    assert found.exit_code is None
    assert found.names == [*['GenerateCalculation'] * 2, 'SelectCalculation', 'LabelAseCalculation', 'TrainWorkChain']
    assert set(found.outputs) == {'potential', 'frames', 'train_frames', 'test_frames', 'references', 'report'}
    report = found.outputs['report'].get_dict()
    assert report['stop_reason'] == 'one_shot'
    (entry,) = report['rounds']
    assert entry['round'] == 0
    assert entry['labels_bought'] == entry['labels_total'] == report['labels_total'] == 24
    assert entry['funnel'] == {'generated': 12, 'sane': 12, 'unique': 12, 'inside': 12, 'selected': 12}
    assert entry['explore'] is None
    assert entry['acquisition'] is None
    assert (entry['n_train'], entry['n_test']) == (12, 10)
    assert entry['test_md'] is None, 'without exploring there is no second part'


def test_a_potential_that_failed_a_check_is_handed_over_with_the_caveat(walk, children, config):
    children.fails_checks = True
    found = walk(OneShotWorkChain, children, config=config())
    assert found.exit_code.status == 510
    assert 'a wall falls' in found.exit_code.message
    assert {'potential', 'frames', 'report'} <= set(found.outputs)
