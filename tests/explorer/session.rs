//! One session of SPEC §5.4, §5.5 and §5.9 over names: chains, lazy root steps, acknowledgements.

use super::kem::{Kem, Object};
use super::planted::{Planted, Rules};
use super::term::{Of, Term, term};

/// Content that leaves room for any object in the smallest bucket, and content that leaves none.
pub(super) const SMALL: usize = 16;
pub(super) const BIG: usize = 1500;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Session {
    pub(super) name: u8,
    pub(super) initiator: bool,
    /// The init block rides in front of every message.
    pub(super) opening: bool,
    /// Which life of the responder's device the handshake is for.
    pub(super) life: u8,
    root: Term,
    ours: Option<Term>,
    theirs: Term,
    sending: Option<Sending>,
    chains_sent: u8,
    next_header_sending: Term,
    receiving: Option<Receiving>,
    chains_received: u8,
    next_header_receiving: Term,
    gapped: Vec<Receiving>,
    must_step: bool,
    pub(super) kem: Kem,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sending {
    header: Term,
    key: Term,
    pn: u8,
    epoch: u8,
    chain: Term,
    n: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Receiving {
    number: u8,
    header: Term,
    key: Term,
    epoch: u8,
    chain: Term,
    /// One bit a leaf.
    taken: u64,
    /// The length, once the chain ended.
    end: Option<u8>,
}

/// A message on the wire; what is sealed in it is read only by who has its keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Envelope {
    pub(super) session: u8,
    /// The init block rides along, for this life of the recipient's device.
    pub(super) init: Option<u8>,
    /// The sender's manifest rides in the content.
    pub(super) manifest: bool,
    pub(super) length: usize,
    /// Which message it is: chain and index.
    pub(super) position: (u8, u8),
    header: Term,
    key: Term,
    pn: u8,
    epoch: u8,
    chain: Term,
    acknowledged: (u8, u8),
    /// Number of the content, 0 for a message without one.
    pub(super) content: u8,
    object: Option<Object>,
}

/// Why a message was not opened: as `OpenError` of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NotForThisSession,
    AlreadyOpened,
    Forged,
    Misbehaved,
    Forked,
}

/// A refusal, and what the state is then if it changed.
type Refused = (Refusal, Option<Box<Session>>);

/// What a message that was opened said and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) content: u8,
    pub(super) position: (u8, u8),
    pub(super) acknowledged: Option<(u8, u8)>,
    pub(super) mixed: Option<u8>,
    pub(super) refused: bool,
    pub(super) beyond: bool,
}

impl Receiving {
    fn highest(&self) -> u8 {
        64 - self.taken.leading_zeros() as u8
    }

    fn contiguous(&self) -> u8 {
        self.taken.trailing_ones() as u8
    }

    fn is_spent(&self) -> bool {
        self.end.is_some_and(|end| self.contiguous() >= end)
    }
}

impl Session {
    pub(super) fn initiate(name: u8, life: u8, their_prekey: Term, device: Term) -> Self {
        let blank = Self::blank(name, true, life, their_prekey, Kem::initiator(device));
        Self { opening: true, must_step: true, ..blank }
    }

    pub(super) fn respond(name: u8, life: u8, our_prekey: Term) -> Self {
        let blank = Self::blank(name, false, life, our_prekey, Kem::responder());
        Self {
            ours: Some(our_prekey),
            next_header_sending: blank.next_header_receiving,
            next_header_receiving: blank.next_header_sending,
            ..blank
        }
    }

    fn blank(name: u8, initiator: bool, life: u8, theirs: Term, kem: Kem) -> Self {
        let of = |what| term(what, &[u64::from(name)]);
        Self {
            name,
            initiator,
            opening: false,
            life,
            root: of(Of::Handshake),
            ours: None,
            theirs,
            sending: None,
            chains_sent: 0,
            next_header_sending: of(Of::HeaderOfInitiator),
            receiving: None,
            chains_received: 0,
            next_header_receiving: of(Of::HeaderOfResponder),
            gapped: Vec::new(),
            must_step: false,
            kem,
        }
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.kem.epoch > 0
    }

    /// `Opening`: begun by us and never answered.
    pub(super) fn is_unanswered(&self) -> bool {
        self.initiator && self.receiving.is_none() && !self.is_confirmed()
    }

    pub(super) fn owes_progress(&self) -> bool {
        !self.is_confirmed() && !self.kem.awaits_entry() && (self.must_step || self.kem.has_news())
    }

    pub(super) fn acknowledgement(&self, rules: &Rules) -> (u8, u8) {
        let gapped =
            self.gapped.first().filter(|_| !rules.has(Planted::GapsForgottenInAcknowledgement));
        gapped
            .or(self.receiving.as_ref())
            .map_or((0, 0), |chain| (chain.number, chain.contiguous()))
    }

    /// Seals one message. `fresh` names whatever is drawn for it.
    pub(super) fn seal(
        &mut self,
        content: u8,
        length: usize,
        fresh: Term,
        rules: &Rules,
    ) -> Envelope {
        assert!(!self.kem.awaits_entry());
        if self.must_step {
            self.step(term(Of::RatchetKey, &[fresh, u64::from(self.chains_sent)]), rules);
        }
        self.kem.sending(fresh, rules);
        let acknowledged = self.acknowledgement(rules);
        let init = if self.opening { 2333 } else { 0 };
        let length = 89 + 17 + init + length;
        let bucket = bucket(length);
        let (bucket, object) = match self.kem.pending() {
            Some(object) => match self::bucket(length + object.length()) {
                with if with == bucket || self.kem.is_overdue() => (with, Some(object)),
                _ => (bucket, None),
            },
            None => (bucket, None),
        };
        let sending = self.sending.as_mut().expect("a responder does not send first");
        let position = (self.chains_sent - 1, sending.n);
        let envelope = Envelope {
            session: self.name,
            init: self.opening.then_some(self.life),
            manifest: self.opening && sending.n.is_multiple_of(8),
            length: bucket,
            position,
            header: sending.header,
            key: sending.key,
            pn: sending.pn,
            epoch: sending.epoch,
            chain: sending.chain,
            acknowledged,
            content,
            object,
        };
        sending.n += 1;
        if object.is_some() {
            self.kem.carry(position, rules);
        }
        envelope
    }

    fn step(&mut self, key: Term, rules: &Rules) {
        let agreed = agreement(key, self.theirs);
        let mix = self.kem.to_mix(rules);
        let epoch = self.kem.epoch + u8::from(mix.is_some());
        let (root, chain, next_header) = root_step(self.root, agreed, epoch, mix);
        self.kem.stepped(mix.is_some());
        let pn = self.sending.as_ref().map_or(0, |sending| sending.n);
        let header = std::mem::replace(&mut self.next_header_sending, next_header);
        self.root = root;
        self.sending = Some(Sending { header, key, pn, epoch, chain, n: 0 });
        self.chains_sent += 1;
        self.ours = Some(key);
        self.must_step = false;
    }

    /// Opens one message on a copy. `mauled` says that its body was altered on the way. With a refusal comes what the
    /// state is then, if it is another one: that takes a planted bug.
    pub(super) fn open(
        &self,
        envelope: &Envelope,
        mauled: bool,
        rules: &Rules,
    ) -> Result<(Self, Opened), Refused> {
        let unchanged = |refusal| (refusal, None);
        if envelope.init.is_some() && (self.initiator || envelope.session != self.name) {
            return Err(unchanged(Refusal::NotForThisSession));
        }
        let (_, n) = envelope.position;
        let mut next;
        let mut mixed = None;
        let known = self.receiving.iter().chain(self.gapped.iter().rev());
        let position = if let Some(at) = known.clone().find(|it| it.header == envelope.header) {
            if at.key != envelope.key {
                return Err(unchanged(Refusal::Forked));
            }
            if at.epoch != envelope.epoch {
                return Err(unchanged(Refusal::Misbehaved));
            }
            if at.taken >> n & 1 == 1 {
                return Err(unchanged(Refusal::AlreadyOpened));
            }
            if at.end.is_some_and(|end| n >= end) {
                return Err(unchanged(Refusal::Misbehaved));
            }
            if mauled || at.chain != envelope.chain {
                return Err(unchanged(Refusal::Forged));
            }
            let number = at.number;
            next = self.clone();
            next.take(number, n);
            (number, n)
        } else if envelope.header == self.next_header_receiving {
            let highest = self.receiving.as_ref().map_or(0, Receiving::highest);
            if envelope.pn < highest || (self.receiving.is_none() && envelope.pn != 0) {
                return Err(unchanged(Refusal::Misbehaved));
            }
            let mix = self.kem.mixed_by_peer(envelope.epoch, rules);
            let (Ok(mix), Some(ours)) = (mix, self.ours) else {
                return Err(unchanged(Refusal::Misbehaved));
            };
            let mut root = self.root;
            let late = rules.has(Planted::MixedAtDecapsulation).then_some(mix).flatten();
            if let Some(secret) = late {
                root = term(Of::Blend, &[root, secret]);
            }
            let mix_in = if late.is_some() { None } else { mix };
            let step = root_step(root, agreement(ours, envelope.key), envelope.epoch, mix_in);
            next = self.clone();
            next.begin_chain(step, envelope, mix.is_some(), rules);
            if mauled || step.1 != envelope.chain {
                let changed = rules.has(Planted::StepBeforeAuthentication).then(|| Box::new(next));
                return Err((Refusal::Forged, changed));
            }
            mixed = mix.map(|_| next.kem.epoch);
            next.take(self.chains_received, n);
            (self.chains_received, n)
        } else {
            return Err(unchanged(Refusal::NotForThisSession));
        };
        next.opening = false;
        let (refused, blend) = next.kem.opened(envelope.object, envelope.epoch, rules);
        if let Some(secret) = blend {
            next.root = term(Of::Blend, &[next.root, secret]);
        }
        let sent = self.sending.as_ref().map(|sending| (self.chains_sent - 1, sending.n));
        let said = envelope.acknowledged;
        let beyond = said != (0, 0) && sent.is_none_or(|sent| said > sent);
        let acknowledged = Some(said).filter(|_| said != (0, 0) && !beyond);
        if let Some(acknowledged) = acknowledged {
            next.kem.acknowledged(acknowledged, rules);
        }
        let content = envelope.content;
        Ok((next, Opened { content, position, acknowledged, mixed, refused, beyond }))
    }

    fn take(&mut self, number: u8, n: u8) {
        let mut all = self.receiving.iter_mut().chain(&mut self.gapped);
        if let Some(chain) = all.find(|chain| chain.number == number) {
            chain.taken |= 1 << n;
        }
        self.gapped.retain(|chain| !chain.is_spent());
    }

    fn begin_chain(
        &mut self,
        (root, chain, next_header): (Term, Term, Term),
        envelope: &Envelope,
        mixed: bool,
        rules: &Rules,
    ) {
        if let Some(mut ended) = self.receiving.take() {
            ended.end = Some(envelope.pn);
            if !ended.is_spent() && !rules.has(Planted::OldChainDroppedAtStep) {
                self.gapped.push(ended);
            }
        }
        let header = std::mem::replace(&mut self.next_header_receiving, next_header);
        self.root = root;
        let (number, key, epoch) = (self.chains_received, envelope.key, envelope.epoch);
        let taken = 0;
        self.receiving = Some(Receiving { number, header, key, epoch, chain, taken, end: None });
        self.chains_received += 1;
        self.theirs = envelope.key;
        self.ours = None;
        self.must_step = true;
        if mixed {
            self.kem.enter();
        }
    }

    /// How many ended chains have gaps; the model knows nothing of the bound of 5 (SPEC §5.3).
    pub(super) fn gapped(&self) -> usize {
        self.gapped.len()
    }

    /// A crash in the middle of opening `envelope`, with the key deleted first.
    pub(super) fn lose_own_key(&mut self, envelope: &Envelope) {
        if envelope.header == self.next_header_receiving {
            self.ours = None;
        }
    }
}

fn agreement(one: Term, other: Term) -> Term {
    term(Of::Agreement, &[one.min(other), one.max(other)])
}

fn root_step(root: Term, agreed: Term, epoch: u8, mix: Option<Term>) -> (Term, Term, Term) {
    let inputs = [root, agreed, u64::from(epoch), mix.unwrap_or_default()];
    (term(Of::RootKey, &inputs), term(Of::Chain, &inputs), term(Of::NextHeader, &inputs))
}

fn bucket(length: usize) -> usize {
    [2048, 4096, 8192].into_iter().find(|bucket| length <= *bucket).expect("short content")
}
