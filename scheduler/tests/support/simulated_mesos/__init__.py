"""A Mesos in memory, with a clock of its own, that goes wrong in all the ways Mesos may.

`agents`: machines, agents and containers; `master`: what the master knows and offers; `wire`: the driver's
two connections; `inquiries`: what a scheduler asks when it has lost its state; `disk`: the store and its
faults; `chaos`: what goes wrong and what operators do; `wishes`: what they ask for; `oracle`: what must never
happen; `tenure`: what a scheduler has that another one may have replaced; `history`: all of it, with one
scheduler after the other, from one seed. `fate` is time, chance and the log that they share.

It keeps to what Mesos promises (docs/reconciliation.md, docs/task-state-reference.md, src/master/master.cpp):
updates with a uuid are sent until they are acknowledged, one at a time for each task; answers come in the
order of the questions; everything else may be late, lost, or happen twice. All chance comes from one seed.
"""
