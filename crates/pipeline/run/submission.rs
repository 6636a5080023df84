//! How a run comes to its one task: a machine without I/O, stepped by [`task`](super::task).
//!
//! A task is created by one request that is never repeated. The receipt says so before and after: whatever
//! happens in between leaves a task that is looked for in the service's list, and no second one is made unless
//! the user asks for it.

use viking_api::TaskId;

/// What is known of the run's task before the first step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// The task in the receipt.
    pub(crate) task: Option<TaskId>,
    /// The receipt says that a task may have been created.
    pub(crate) is_submitted: bool,
    /// The user asks for a new task if the run's own will export nothing any more.
    pub(crate) new_task: bool,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask for the state of a task. → [`Answer::Alive`]
    LookAt(TaskId),
    /// Search the list of tasks for one that writes to the run's own path. → [`Answer::Found`]
    Find,
    /// Take a new name for the run: should the lost task show up after all, its rows go to another place. →
    /// [`Answer::Done`]
    Rename,
    /// Check that there is a collection, and nothing where the export goes. → [`Answer::Done`]
    Check,
    /// Save in the receipt that a task may exist from here on. → [`Answer::Done`]
    NoteSubmission,
    /// Send the request. → [`Answer::Created`], [`Answer::Refused`] or [`Answer::Unclear`]
    Create,
    /// Save in the receipt that no task exists. → [`Answer::Done`]
    ForgetSubmission,
    /// Save the task in the receipt. → [`Answer::Done`]
    NoteTask(TaskId),
    /// Follow the task; the machine is done.
    Follow(TaskId),
    /// A task was submitted and is not found; the machine is done.
    GiveUp,
    /// The request failed, and its error says why; the machine is done.
    Fail,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Whether the task may still export something, or has.
    Alive(bool),
    Found(Option<TaskId>),
    Done,
    Created(TaskId),
    /// The service did not create it.
    Refused,
    /// It may have been created.
    Unclear,
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Submission {
    known: Known,
    step: Step,
}

impl Submission {
    pub(crate) fn new(known: Known) -> Self {
        let step = match &known.task {
            Some(task) if known.new_task => Step::LookAt(task.clone()),
            Some(task) => Step::NoteTask(task.clone()),
            None if known.is_submitted => Step::Find,
            None => Step::Check,
        };
        Self { known, step }
    }

    /// What to do next.
    pub(crate) fn step(&self) -> &Step {
        &self.step
    }

    /// Takes what came of the step. An answer that does not belong to it fails the submission.
    pub(crate) fn answer(&mut self, answer: Answer) {
        self.step = match (&self.step, answer) {
            (Step::LookAt(task), Answer::Alive(true)) => Step::NoteTask(task.clone()),
            (Step::LookAt(_), Answer::Alive(false)) => self.without_task(),
            (Step::Find, Answer::Found(Some(task))) if self.known.new_task => Step::LookAt(task),
            (Step::Find, Answer::Found(Some(task))) => Step::NoteTask(task),
            (Step::Find, Answer::Found(None)) => self.without_task(),
            (Step::Rename, Answer::Done) => Step::Check,
            (Step::Check, Answer::Done) => Step::NoteSubmission,
            (Step::NoteSubmission, Answer::Done) => Step::Create,
            (Step::Create, Answer::Created(task)) => Step::NoteTask(task),
            (Step::Create, Answer::Refused) => Step::ForgetSubmission,
            (Step::NoteTask(task), Answer::Done) => Step::Follow(task.clone()),
            _ => Step::Fail,
        };
    }

    /// There is no task that will export anything.
    fn without_task(&self) -> Step {
        match (self.known.is_submitted, self.known.new_task) {
            (true, true) => Step::Rename,
            (true, false) => Step::GiveUp,
            (false, _) => Step::Check,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the service and the disk know, over all attempts of one run.
    #[derive(Debug, Default)]
    struct World {
        /// Tasks that the service made for the run, in order, and whether each will export something.
        tasks: Vec<(TaskId, bool)>,
        /// The receipt.
        task: Option<TaskId>,
        is_submitted: bool,
        /// How often the user asked for a new task.
        asked: usize,
    }

    /// How a step goes.
    #[derive(Debug, Clone, Copy)]
    enum Luck {
        /// As it should.
        Good,
        /// The process ends before the step has any effect.
        Crash,
        /// The process ends after it.
        LateCrash,
        /// The service refuses; the task that there is fails.
        Refuse,
        /// The answer is lost, and the request arrived.
        Lose,
        /// The answer is lost, and so was the request.
        LoseAll,
        /// The list does not show the newest task yet.
        Hide,
    }

    impl World {
        /// One attempt. Returns the task that is followed.
        fn attempt(&mut self, new_task: bool, luck: &[Luck]) -> Option<TaskId> {
            self.asked += usize::from(new_task);
            let known =
                Known { task: self.task.clone(), is_submitted: self.is_submitted, new_task };
            let mut machine = Submission::new(known);
            for luck in luck.iter().chain(std::iter::repeat(&Luck::Good)).take(20) {
                if matches!(luck, Luck::Crash) {
                    return None;
                }
                let step = machine.step().clone();
                let answer = match &step {
                    Step::Follow(task) => return Some(task.clone()),
                    Step::GiveUp | Step::Fail => return None,
                    step => self.effect(step, *luck),
                };
                if matches!(luck, Luck::LateCrash) {
                    return None;
                }
                machine.answer(answer);
            }
            panic!("a submission does not end: {machine:?}");
        }

        fn effect(&mut self, step: &Step, luck: Luck) -> Answer {
            match step {
                Step::LookAt(task) => {
                    if let Luck::Refuse = luck
                        && let Some(found) = self.tasks.iter_mut().find(|(id, _)| id == task)
                    {
                        found.1 = false;
                    }
                    Answer::Alive(self.tasks.iter().any(|(id, is_alive)| id == task && *is_alive))
                }
                // The path of a run is its own, and changes with its name: only the newest writes there.
                Step::Find => Answer::Found(match luck {
                    Luck::Hide => None,
                    _ => self.tasks.last().map(|(id, _)| id.clone()),
                }),
                Step::NoteSubmission => {
                    (self.is_submitted, self.task) = (true, None);
                    Answer::Done
                }
                Step::Create => match luck {
                    Luck::Refuse => Answer::Refused,
                    Luck::LoseAll => Answer::Unclear,
                    _ => {
                        let id = TaskId(format!("task {}", self.tasks.len()));
                        self.tasks.push((id.clone(), true));
                        if matches!(luck, Luck::Lose) {
                            Answer::Unclear
                        } else {
                            Answer::Created(id)
                        }
                    }
                },
                Step::ForgetSubmission => {
                    self.is_submitted = false;
                    Answer::Done
                }
                Step::NoteTask(task) => {
                    self.task = Some(task.clone());
                    Answer::Done
                }
                _ => Answer::Done,
            }
        }
    }

    fn luck() -> impl Strategy<Value = Luck> {
        prop_oneof![
            6 => Just(Luck::Good),
            1 => Just(Luck::Crash),
            1 => Just(Luck::LateCrash),
            1 => Just(Luck::Refuse),
            1 => Just(Luck::Lose),
            1 => Just(Luck::LoseAll),
            1 => Just(Luck::Hide),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        /// Whatever happens: never two tasks unless the user asked, and a task that is followed is the newest.
        #[test]
        fn there_is_one_task_for_each_time_that_one_was_asked_for(
            attempts in prop::collection::vec(
                (prop::bool::weighted(0.2), prop::collection::vec(luck(), 0..8)), 1..8,
            ),
        ) {
            let mut world = World::default();
            for (new_task, luck) in attempts {
                let followed = world.attempt(new_task, &luck);
                prop_assert!(world.tasks.len() <= 1 + world.asked, "{world:?}");
                if let Some(task) = followed {
                    prop_assert_eq!(Some(&task), world.tasks.last().map(|(id, _)| id));
                    prop_assert_eq!(Some(&task), world.task.as_ref());
                }
            }
        }
    }

    #[test]
    fn a_lost_answer_leads_to_the_task_and_not_to_another() {
        let mut world = World::default();
        assert_eq!(world.attempt(false, &[Luck::Good, Luck::Good, Luck::Lose]), None);
        assert_eq!(world.attempt(false, &[Luck::Hide]), None, "it does not show up yet");
        assert_eq!(world.attempt(false, &[]), Some(TaskId("task 0".to_owned())));
        assert_eq!(world.tasks.len(), 1);
    }
}
