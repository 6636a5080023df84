//! What a run does next: a machine without I/O, stepped by [`Session::run`](crate::Session::run) and
//! [`Session::resume`](crate::Session::resume).

/// What a run folder, the services and the options say before the first step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Facts {
    /// The objects of the export are in the receipt.
    pub(crate) is_listed: bool,
    /// All of their files are in the folder.
    pub(crate) has_all: bool,
    /// The run was proven.
    pub(crate) is_finished: bool,
    /// Its files were removed after the proof.
    pub(crate) is_discarded: bool,
    /// Its objects were deleted from TOS.
    pub(crate) is_cleaned: bool,
    /// An earlier process worked on it.
    pub(crate) is_resumed: bool,
    /// It began on embedded services, which end with their process.
    pub(crate) was_embedded: bool,
    /// The services of this process are embedded.
    pub(crate) is_embedded: bool,
    /// Rows are left out.
    pub(crate) is_partial: bool,
    /// The user asks for a new task.
    pub(crate) new_task: bool,
    /// Objects are to be deleted from TOS at the end.
    pub(crate) deletes_objects: bool,
    /// Files are to be removed at the end.
    pub(crate) discards_files: bool,
}

/// Why a run cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// What is removed at the end must have been printed whole.
    Partial,
    /// Its services are gone.
    EmbeddedGone,
    /// It began elsewhere.
    NotEmbedded,
    /// Files and objects are gone.
    Discarded,
    /// Files are missing, and the objects are gone.
    Cleaned,
    /// Its task is done.
    NewTaskNotNeeded,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// See the task through to its end, and list what it wrote.
    Export,
    /// List once more: the list may have been incomplete, or not be true any more.
    ListAgain,
    /// Download and print. → [`Answer::Printed`] or [`Answer::Stale`]
    Print {
        /// From the first row, whatever is in the output.
        anew: bool,
    },
    /// Save what is known, since not all rows were taken.
    Keep,
    /// Give the output its name, though rows are left out on purpose.
    NamePartial,
    /// Refuse to call the run finished: objects are left out whose keys cannot be files.
    RefuseKeys,
    /// Compare rows. → [`Answer::TooFew`] where the service counted more.
    Prove,
    /// List once more: the list may have been incomplete. → [`Answer::New`] or [`Answer::Done`]
    ListMissing,
    /// Give the output its name.
    NameOutput,
    /// Save in the receipt that the run is proven.
    NoteProof,
    /// Delete the objects from TOS.
    DeleteObjects,
    /// Remove the files.
    DiscardFiles,
    /// Forget how far the output got. It is the last step, since a stop before it proves the output again.
    ForgetOutput,
    /// Objects change faster than they are printed.
    GiveUp,
    /// Nothing is left to be done.
    End,
}

/// What came of a step. Steps that fail end the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Printed {
        /// The output took no more, or the run was asked to stop.
        is_cut_short: bool,
        /// Keys were refused.
        has_refused: bool,
    },
    /// The output has rows of other versions of the objects.
    Stale,
    /// There are fewer rows than the service counted.
    TooFew,
    /// There are objects that were not listed before.
    New,
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Steps {
    facts: Facts,
    step: Step,
    /// What the service shows now counts, and it may be asked once more.
    may_list: bool,
}

impl Steps {
    /// Decides where to begin, or why not to.
    pub(crate) fn begin(facts: Facts) -> Result<Self, Refusal> {
        if facts.is_partial && (facts.deletes_objects || facts.discards_files) {
            return Err(Refusal::Partial);
        }
        let are_services_gone = facts.was_embedded && facts.is_resumed;
        if are_services_gone && (!facts.has_all || facts.deletes_objects) {
            return Err(Refusal::EmbeddedGone);
        }
        if facts.is_embedded && !facts.was_embedded {
            return Err(Refusal::NotEmbedded);
        }
        if facts.is_cleaned && !facts.has_all {
            return Err(if facts.is_discarded { Refusal::Discarded } else { Refusal::Cleaned });
        }
        if facts.new_task && facts.is_listed {
            return Err(Refusal::NewTaskNotNeeded);
        }
        let is_done = facts.is_finished && (facts.has_all || facts.is_discarded);
        let step = if !facts.is_listed {
            Step::Export
        } else if facts.is_cleaned || are_services_gone || is_done {
            Step::Print { anew: false }
        } else {
            Step::ListAgain
        };
        let may_list = !matches!(step, Step::Print { .. });
        Ok(Self { facts, step, may_list })
    }

    /// What to do next.
    pub(crate) fn step(&self) -> Step {
        self.step
    }

    /// Takes what came of the step.
    pub(crate) fn answer(&mut self, answer: Answer) {
        self.step = match (self.step, answer) {
            (Step::Export | Step::ListAgain, _) => Step::Print { anew: false },
            (Step::Print { anew: false }, Answer::Stale) => Step::Print { anew: true },
            (Step::Print { .. }, Answer::Stale | Answer::Done | Answer::TooFew | Answer::New) => {
                Step::GiveUp
            }
            (Step::Print { .. }, Answer::Printed { has_refused: true, .. }) => Step::RefuseKeys,
            (Step::Print { .. }, Answer::Printed { is_cut_short: true, .. }) => Step::Keep,
            (Step::Print { .. }, Answer::Printed { .. }) if self.facts.is_partial => {
                Step::NamePartial
            }
            (Step::Print { .. }, Answer::Printed { .. }) => Step::Prove,
            (Step::Prove, Answer::TooFew) if self.may_list => {
                self.may_list = false;
                Step::ListMissing
            }
            (Step::ListMissing, Answer::New) => Step::Print { anew: false },
            // An object that is there may be another now.
            (Step::ListMissing, _) => Step::Prove,
            (Step::Prove, _) => Step::NameOutput,
            (Step::NameOutput, _) => Step::NoteProof,
            (Step::NoteProof, _) if self.facts.deletes_objects => Step::DeleteObjects,
            (Step::NoteProof | Step::DeleteObjects, _) if self.facts.discards_files => {
                Step::DiscardFiles
            }
            (Step::NoteProof | Step::DeleteObjects | Step::DiscardFiles, _) => Step::ForgetOutput,
            (Step::Keep | Step::NamePartial | Step::ForgetOutput | Step::End, _) => Step::End,
            (Step::RefuseKeys, _) => Step::RefuseKeys,
            (Step::GiveUp, _) => Step::GiveUp,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn facts() -> impl Strategy<Value = Facts> {
        prop::array::uniform12(any::<bool>()).prop_map(|is| Facts {
            is_listed: is[0],
            has_all: is[0] && is[1],
            is_finished: is[0] && is[2],
            is_discarded: is[3],
            is_cleaned: is[4],
            is_resumed: is[5],
            was_embedded: is[6],
            is_embedded: is[7],
            is_partial: is[8],
            new_task: is[9],
            deletes_objects: is[10],
            discards_files: is[11],
        })
    }

    fn answer() -> impl Strategy<Value = Answer> {
        prop_oneof![
            Just(Answer::Done),
            Just(Answer::Stale),
            Just(Answer::TooFew),
            Just(Answer::New),
            (any::<bool>(), any::<bool>()).prop_map(|(is_cut_short, has_refused)| {
                Answer::Printed { is_cut_short, has_refused }
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        /// Every run ends, and deletes nothing that was not printed whole and proven before.
        #[test]
        fn nothing_is_deleted_before_the_proof(
            facts in facts(),
            answers in prop::collection::vec(answer(), 20),
        ) {
            let Ok(mut steps) = Steps::begin(facts) else { return Ok(()) };
            let mut done = Vec::new();
            for answer in answers {
                done.push(steps.step());
                steps.answer(answer);
            }
            let ends = [Step::End, Step::GiveUp, Step::RefuseKeys];
            prop_assert!(ends.contains(&steps.step()), "{done:?}");
            let place = |step| done.iter().position(|done| *done == step);
            for deleting in [Step::DeleteObjects, Step::DiscardFiles] {
                if let Some(deleted) = place(deleting) {
                    prop_assert!(place(Step::NoteProof).is_some_and(|noted| noted < deleted));
                    prop_assert!(place(Step::Prove) < place(Step::NameOutput));
                    prop_assert!(place(Step::NameOutput) < place(Step::NoteProof));
                    prop_assert!(!facts.is_partial);
                }
            }
            let prints = done.iter().filter(|step| matches!(step, Step::Print { .. })).count();
            // From where it was and anew, and both once more for objects that were listed late.
            prop_assert!(prints <= 4, "{:?}", done);
            prop_assert_eq!(place(Step::Export).is_some(), !facts.is_listed);
        }
    }

    #[test]
    fn what_is_gone_is_said_before_anything_is_done() {
        let begun = Facts { is_listed: true, is_resumed: true, ..Facts::default() };
        let cases = [
            (Facts { is_cleaned: true, ..begun }, Refusal::Cleaned),
            (Facts { is_cleaned: true, is_discarded: true, ..begun }, Refusal::Discarded),
            (Facts { was_embedded: true, ..begun }, Refusal::EmbeddedGone),
            (Facts { is_embedded: true, ..begun }, Refusal::NotEmbedded),
            (Facts { new_task: true, ..begun }, Refusal::NewTaskNotNeeded),
            (Facts { is_partial: true, discards_files: true, ..begun }, Refusal::Partial),
        ];
        for (facts, refusal) in cases {
            assert_eq!(Steps::begin(facts).err(), Some(refusal), "{facts:?}");
        }
        let whole = Facts { has_all: true, is_cleaned: true, ..begun };
        assert_eq!(Steps::begin(whole).unwrap().step(), Step::Print { anew: false });
    }
}
