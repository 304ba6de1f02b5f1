//! Everything the lesson knows, as one plain value, and what it asks for next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use shared::{Modality, ModalitySet};

use super::case::Case;
use super::method::{Cards, Method, Network};
use super::protocol::{CaseId, Request, Response, Scan};

/// What the lesson knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// The patient.
    pub case: Case,
    /// The sequences that are left.
    pub present: ModalitySet,
    /// What was opened, once it is there.
    pub opened: Result<Option<Arc<Opened>>, String>,
    /// The cards of the networks, as far as they are known.
    pub cards: Cards,
    /// Networks that the worker has.
    loaded: BTreeSet<Network>,
    /// Networks that cannot be had, and why.
    missing: BTreeMap<Network, String>,
    /// What came of each network with each set of sequences it reads.
    outlines: BTreeMap<(Network, ModalitySet), Result<Arc<Outlined>, String>>,
    /// Bytes of weights that are there, and that there will be, of the network that comes.
    pub progress: Option<(Network, u64, u64)>,
    id: CaseId,
    is_asking: bool,
}

/// A case as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// Sizes.
    pub scan: Scan,
    /// Of each sequence the voxels for the screen, `[z, y, x]`.
    pub voxels: [Option<Vec<u8>>; Modality::COUNT],
    /// The true tumour, where it is known.
    pub truth: Option<Vec<u8>>,
}

/// An outline.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlined {
    /// `[z, y, x]`, 1 for tumour.
    pub mask: Vec<u8>,
    /// Agreement with the truth, where that is known.
    pub dice: Option<f64>,
    /// Its volume.
    pub volume_ml: f64,
    /// Time it took, in milliseconds.
    pub ms: f64,
}

/// What a method answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Nothing yet.
    Pending,
    /// It has no network for these sequences.
    None,
    /// An outline, from these of the sequences.
    Outlined(Arc<Outlined>, ModalitySet),
    /// No outline, and why.
    Failed(String),
}

/// What the page sends next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A network is needed; the page knows its address.
    Load(Network),
    /// An outline.
    Ask(Request),
}

impl Session {
    /// A lesson about a case, of which some sequences are left.
    pub fn new(case: Case, present: ModalitySet) -> Self {
        Self {
            case,
            present,
            opened: Ok(None),
            cards: Cards::new(),
            loaded: BTreeSet::new(),
            missing: BTreeMap::new(),
            outlines: BTreeMap::new(),
            progress: None,
            id: 0,
            is_asking: false,
        }
    }

    /// Turns to a case; what comes for older ones is left aside from here on.
    pub fn open(&mut self, case: Case) -> CaseId {
        self.case = case;
        self.opened = Ok(None);
        self.outlines.clear();
        self.id += 1;
        self.id
    }

    /// Takes a sequence away, or gives it back. The last one stays.
    pub fn toggle(&mut self, modality: Modality) {
        let kept = self.present.iter().filter(|other| *other != modality);
        let toggled = if self.present.contains(modality) {
            ModalitySet::new(kept)
        } else {
            ModalitySet::new(kept.chain([modality]))
        };
        if let Ok(toggled) = toggled {
            self.present = toggled;
        }
    }

    /// Takes what the worker said, with its bytes.
    pub fn receive(&mut self, response: Response, bytes: Vec<Vec<u8>>) {
        match response {
            Response::Opened { id, scan } if id == self.id => {
                let mut bytes = bytes.into_iter();
                let mut voxels = [const { None }; Modality::COUNT];
                for modality in &scan.present {
                    voxels[modality.index()] = bytes.next();
                }
                let truth = scan.truth_ml.and_then(|_| bytes.next());
                self.opened = Ok(Some(Arc::new(Opened { scan, voxels, truth })));
            }
            Response::OpenFailed { id, message } if id == self.id => self.opened = Err(message),
            Response::Opened { .. } | Response::OpenFailed { .. } => {}
            Response::Progress { network, received, total } => self.progress = Some((network, received, total)),
            Response::Ready { network, card } => {
                self.finish_loading();
                self.cards.insert(network.clone(), *card);
                self.loaded.insert(network);
            }
            Response::LoadFailed { network, failure } => {
                self.finish_loading();
                self.missing.insert(network, failure.message);
            }
            Response::Outlined { id, network, present, dice, volume_ml, ms } => {
                self.is_asking = false;
                if id == self.id {
                    let mask = bytes.into_iter().next().unwrap_or_default();
                    let outlined = Arc::new(Outlined { mask, dice, volume_ml, ms });
                    self.outlines.insert((network, present), Ok(outlined));
                }
            }
            Response::OutlineFailed { id, network, present, message } => {
                self.is_asking = false;
                if id == self.id {
                    self.outlines.insert((network, present), Err(message));
                }
            }
        }
    }

    fn finish_loading(&mut self) {
        self.is_asking = false;
        self.progress = None;
    }

    /// The worker is gone, and with it case and networks. The outlines that are there stay; the case is to be opened anew.
    pub fn worker_died(&mut self) -> CaseId {
        self.loaded.clear();
        self.finish_loading();
        self.id += 1;
        self.id
    }

    /// What a method answers from some sequences.
    pub fn answer(&self, method: Method, present: ModalitySet) -> Answer {
        let Some((network, read)) = method.answers(present, &self.cards) else {
            let is_to_come = method.networks().iter().any(|network| self.is_to_come(network));
            return if is_to_come { Answer::Pending } else { self.why_none(method) };
        };
        match self.outlines.get(&(network.clone(), read)) {
            Some(Ok(outlined)) => Answer::Outlined(Arc::clone(outlined), read),
            Some(Err(message)) => Answer::Failed(message.clone()),
            None => match self.missing.get(&network) {
                Some(message) => Answer::Failed(message.clone()),
                None => Answer::Pending,
            },
        }
    }

    fn is_to_come(&self, network: &Network) -> bool {
        !self.cards.contains_key(network) && !self.missing.contains_key(network)
    }

    fn why_none(&self, method: Method) -> Answer {
        let missing = method.networks().into_iter().find_map(|network| self.missing.get(&network));
        missing.map_or(Answer::None, |message| Answer::Failed(message.clone()))
    }

    /// What to ask the worker next; nothing while it is at work, or when all is known. First comes what is shown, method by
    /// method, then the rest of the table.
    pub fn next_step(&mut self) -> Option<Next> {
        if self.is_asking || !matches!(self.opened, Ok(Some(_))) {
            return None;
        }
        let others = ModalitySet::all().into_iter().filter(|set| *set != self.present);
        let sets: Vec<ModalitySet> =
            [self.present].into_iter().chain(others).filter(|set| self.is_there(*set)).collect();
        let next = sets.iter().find_map(|set| Method::ALL.into_iter().find_map(|method| self.wants(method, *set)));
        self.is_asking = next.is_some();
        next
    }

    /// Whether the case has all of these sequences.
    fn is_there(&self, set: ModalitySet) -> bool {
        let Ok(Some(opened)) = &self.opened else { return false };
        set.iter().all(|modality| opened.voxels[modality.index()].is_some())
    }

    fn wants(&self, method: Method, present: ModalitySet) -> Option<Next> {
        // Which network answers is known only from the cards of all that could.
        let readable = |network: &&Network| {
            !method.is_of_one_sequence()
                || present.iter().any(|modality| network.ends_with(&format!("-{}", modality.name())))
        };
        if let Some(network) = method.networks().iter().filter(readable).find(|network| self.is_to_come(network)) {
            return Some(Next::Load(network.clone()));
        }
        let (network, read) = method.answers(present, &self.cards)?;
        if self.outlines.contains_key(&(network.clone(), read)) || self.missing.contains_key(&network) {
            return None;
        }
        // After a restart the worker knows fewer networks than the page.
        if !self.loaded.contains(&network) {
            return Some(Next::Load(network));
        }
        Some(Next::Ask(Request::Outline { id: self.id, network, present: read }))
    }

    /// Whether nothing is left to be asked.
    pub fn is_complete(&self) -> bool {
        !self.is_asking && self.clone().next_step().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lesson::method::shipped_cards;
    use crate::worker::{Failure, FailureKind};

    fn set(modalities: &[Modality]) -> ModalitySet {
        ModalitySet::new(modalities.iter().copied()).expect("not empty")
    }

    fn opened(session: &mut Session, case: Case) -> CaseId {
        let id = session.open(case);
        let scan = Scan { size: [2, 1, 1], spacing_mm: [1.0; 3], present: Modality::ALL.to_vec(), truth_ml: Some(0.5) };
        session.receive(Response::Opened { id, scan }, vec![vec![1, 2]; 5]);
        id
    }

    fn session() -> (Session, CaseId) {
        let mut session = Session::new(Case::default(), ModalitySet::ALL);
        let id = opened(&mut session, Case::Head(3));
        (session, id)
    }

    /// Answers whatever the session asks, as the worker would, until it asks no more; gives what it asked.
    fn work(session: &mut Session, most: usize) -> Vec<Next> {
        let cards = shipped_cards();
        let mut asked = Vec::new();
        while asked.len() < most
            && let Some(next) = session.next_step()
        {
            match &next {
                Next::Load(network) => {
                    let card = Box::new(cards[network].clone());
                    session.receive(Response::Ready { network: network.clone(), card }, vec![]);
                }
                Next::Ask(Request::Outline { id, network, present }) => {
                    let (id, network, present) = (*id, network.clone(), *present);
                    let said = Response::Outlined { id, network, present, dice: Some(0.5), volume_ml: 1.0, ms: 1.0 };
                    session.receive(said, vec![vec![0, 1]]);
                }
                Next::Ask(other) => panic!("{other:?}"),
            }
            asked.push(next);
        }
        asked
    }

    #[test]
    fn what_is_shown_comes_first_and_then_the_whole_table() {
        let (mut session, _) = session();
        session.present = set(&[Modality::Flair]);
        let asked = work(&mut session, usize::MAX);
        let first_ask = asked.iter().find(|next| matches!(next, Next::Ask(_))).expect("asks");
        assert!(
            matches!(first_ask, Next::Ask(Request::Outline { network, present, .. })
            if network == "mri-flair" && *present == set(&[Modality::Flair])),
            "{first_ask:?}"
        );
        let n_of = |name: &str| {
            let is = |next: &&Next| matches!(next, Next::Ask(Request::Outline { network, .. }) if network == name);
            asked.iter().filter(is).count()
        };
        assert_eq!((n_of("mri-hemis"), n_of("mri-mean"), n_of("mri-t2")), (15, 15, 1), "each once");
        for present in ModalitySet::all() {
            assert!(matches!(session.answer(Method::Cmim, present), Answer::Outlined(..)), "{present}");
        }
        assert!(session.is_complete());
    }

    #[test]
    fn one_thing_is_asked_at_a_time() {
        let (mut session, _) = session();
        assert!(session.next_step().is_some());
        assert_eq!(session.next_step(), None);
    }

    #[test]
    fn another_case_forgets_the_answers_and_late_ones_are_left_aside() {
        let (mut session, old) = session();
        work(&mut session, usize::MAX);
        let id = opened(&mut session, Case::Head(4));
        assert_ne!(id, old);
        assert_eq!(session.answer(Method::Hemis, ModalitySet::ALL), Answer::Pending);
        let (network, present) = ("mri-hemis".to_owned(), ModalitySet::ALL);
        session.receive(
            Response::Outlined { id: old, network, present, dice: None, volume_ml: 0.0, ms: 0.0 },
            vec![vec![0, 0]],
        );
        assert_eq!(session.answer(Method::Hemis, ModalitySet::ALL), Answer::Pending);
        assert!(matches!(session.next_step(), Some(Next::Ask(_))), "the networks are still there");
    }

    #[test]
    fn the_last_sequence_stays() {
        let (mut session, _) = session();
        for modality in Modality::ALL {
            session.toggle(modality);
        }
        assert_eq!(session.present, set(&[Modality::T2]));
        session.toggle(Modality::Flair);
        assert_eq!(session.present, set(&[Modality::Flair, Modality::T2]));
    }

    #[test]
    fn a_network_that_cannot_be_had_is_told_and_the_others_answer() {
        let (mut session, _) = session();
        let failure = Failure::new(FailureKind::Network, &"mri-hemis: could not be fetched");
        session.receive(Response::LoadFailed { network: "mri-hemis".to_owned(), failure }, vec![]);
        work(&mut session, usize::MAX);
        assert!(
            matches!(session.answer(Method::Hemis, ModalitySet::ALL), Answer::Failed(words) if words.contains("fetched"))
        );
        assert!(matches!(session.answer(Method::Mean, ModalitySet::ALL), Answer::Outlined(..)));
    }

    #[test]
    fn after_a_crash_the_networks_are_fetched_again_and_the_answers_stay() {
        let (mut session, _) = session();
        work(&mut session, 12);
        let answered = session.answer(Method::Cmim, ModalitySet::ALL);
        assert!(matches!(answered, Answer::Outlined(..)));
        let id = session.worker_died();
        assert_eq!(session.answer(Method::Cmim, ModalitySet::ALL), answered);
        let scan = Scan { size: [2, 1, 1], spacing_mm: [1.0; 3], present: Modality::ALL.to_vec(), truth_ml: Some(0.5) };
        session.receive(Response::Opened { id, scan }, vec![vec![1, 2]; 5]);
        work(&mut session, usize::MAX);
        assert!(matches!(session.answer(Method::Mlp, ModalitySet::ALL), Answer::Outlined(..)));
    }
}
