//! Two parties and a network that has every envelope that was ever released: it delivers each at any time, again, or never.
//!
//! A crash takes a party back to what its store has. All that is done between two commits is one action here, so a crash
//! within it is the action that leaves nothing behind, unless a planted bug leaves something.

use std::fmt;

use super::party::{Item, Party, Shared};
use super::planted::{Planted, Rules};
use super::session::{BIG, Envelope, Opened, Refusal, SMALL, Session};
use super::term::{Fold, Of, Term, term};

/// What happens next. Parties are 0 and 1; envelopes are numbered in the order in which their sender released them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The user writes; `true` leaves no room for an object.
    Write(usize, bool),
    /// A session is begun with the peer's bundle.
    Begin(usize),
    /// What sessions owe is sent.
    Nudge(usize),
    /// An envelope arrives at this party.
    Deliver(usize, usize),
    /// An envelope arrives with its body altered.
    Maul(usize, usize),
    /// The process dies after it sealed and before that was stored.
    CrashSealing(usize),
    /// The process dies after it opened this envelope and before that was stored.
    CrashOpening(usize, usize),
    /// The device loses everything and begins anew with new keys.
    Lose(usize),
}

/// What must not be: an honest message that cannot be opened, is opened twice, or is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation(pub(super) String);

/// One call of the core and what the model says of its result, to be held against the real one.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Begin {
        party: usize,
        name: u8,
    },
    /// Content, or an empty message on the named session; `envelope` is the number of what comes out.
    Seal {
        party: usize,
        probe: Option<u8>,
        content: u8,
        length: usize,
        envelope: usize,
    },
    Respond {
        party: usize,
        envelope: usize,
        name: u8,
        opened: Opened,
    },
    Open {
        party: usize,
        envelope: usize,
        opened: Opened,
        session: u8,
        moved: bool,
        dropped: Vec<u8>,
    },
    Refuse {
        party: usize,
        envelope: usize,
        mauled: bool,
        refusal: Refusal,
    },
    /// The session is given the entry that the peer's device had in this life.
    Introduce {
        party: usize,
        name: u8,
        life: usize,
    },
    Lose {
        party: usize,
    },
    /// What the party's sessions look like after the steps so far.
    Compare {
        party: usize,
        looks: Looks,
    },
}

/// What a set of sessions shows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Looks {
    pub(super) sessions: Vec<LooksOfOne>,
    pub(super) sending: Option<u8>,
    pub(super) probe_due: Option<u8>,
}

/// What one session shows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LooksOfOne {
    pub(super) name: u8,
    pub(super) opening: bool,
    pub(super) epoch: u8,
    pub(super) acknowledgement: (u8, u8),
    pub(super) owes_progress: bool,
    pub(super) awaits_introduction: bool,
}

/// The steps of one action, if anybody wants them.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) steps: Option<Vec<Step>>,
}

impl Log {
    pub(super) fn none() -> Self {
        Self { steps: None }
    }

    pub(super) fn recording() -> Self {
        Self { steps: Some(Vec::new()) }
    }

    fn push(&mut self, step: impl FnOnce() -> Step) {
        if let Some(steps) = &mut self.steps {
            steps.push(step());
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) parties: [Party; 2],
    pub(super) rules: Rules,
    /// In which life of its initiator's device each session was begun.
    lives: [u8; 8],
    /// The session on which party 0 sends and its epoch, when the fair continuation began to write.
    pub(super) mark: Option<(u8, u8)>,
    /// An envelope arrived before one that was released earlier.
    pub(super) overtaken: bool,
}

impl World {
    pub(super) fn new(rules: Rules) -> Self {
        Self { parties: Default::default(), rules, lives: [0; 8], mark: None, overtaken: false }
    }

    /// The state as a number: two states of one number are taken for one.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut fold = Fold::new();
        for party in &self.parties {
            party.fold(&mut fold);
        }
        let mark =
            self.mark.map_or(0, |(name, epoch)| 1 | u64::from(name) << 8 | u64::from(epoch) << 16);
        fold.add(mark << 1 | u64::from(self.overtaken));
        fold.end()
    }

    /// Does `action`, and notes in `log` what it asked of the core.
    pub(super) fn apply(&self, action: Action, log: &mut Log) -> Result<Self, Violation> {
        let mut next = self.clone();
        match action {
            Action::Write(p, big) => {
                next.parties[p].written += 1;
                let content = next.parties[p].written;
                next.seal(p, content, if big { BIG } else { SMALL }, log)?;
            }
            Action::Begin(p) => next.begin(p, log),
            Action::Nudge(p) => next.nudge(p, log)?,
            Action::Deliver(to, envelope) => next.deliver(to, envelope, log)?,
            Action::Maul(to, envelope) => next.maul(to, envelope, log),
            Action::CrashSealing(p) => next.crash_sealing(p)?,
            Action::CrashOpening(to, envelope) => next.crash_opening(to, envelope)?,
            Action::Lose(p) => next.lose(p, log),
        }
        Ok(next)
    }

    fn looks(&self, p: usize) -> Step {
        let (party, rules) = (&self.parties[p], &self.rules);
        let name = |at: usize| party.entries[at].session.name;
        let one = |session: &Session| LooksOfOne {
            name: session.name,
            opening: session.is_unanswered(),
            epoch: session.kem.epoch,
            acknowledgement: session.acknowledgement(rules),
            owes_progress: session.owes_progress(),
            awaits_introduction: session.kem.awaits_entry(),
        };
        let looks = Looks {
            sessions: party.entries.iter().map(|entry| one(&entry.session)).collect(),
            sending: party.sending(rules).map(name),
            probe_due: party.probe_due(rules).map(name),
        };
        Step::Compare { party: p, looks }
    }

    pub(super) fn can_write(&self, p: usize) -> bool {
        self.parties[p].sending(&self.rules).is_some()
    }

    /// Whether a session owes a message that carries no content.
    pub(super) fn owes(&self, p: usize) -> bool {
        let party = &self.parties[p];
        party.sending(&self.rules).is_some_and(|at| party.entries[at].session.owes_progress())
            || party.probe_due(&self.rules).is_some()
    }

    fn begin(&mut self, p: usize, log: &mut Log) {
        let name = (p as u8) + 2 * self.parties[p].begun;
        let peer = 1 - p;
        let life = self.parties[peer].life;
        let party = &mut self.parties[p];
        party.begun += 1;
        self.lives[usize::from(name)] = party.life;
        party.knows = true;
        let device = device_kem(p, party.life);
        party.replace(Session::initiate(name, life, prekey(peer, life), device), &self.rules);
        party.evict(&self.rules);
        log.push(|| Step::Begin { party: p, name });
        log.push(|| self.looks(p));
    }

    /// Seals content where content goes.
    fn seal(
        &mut self,
        p: usize,
        content: u8,
        length: usize,
        log: &mut Log,
    ) -> Result<(), Violation> {
        let party = &self.parties[p];
        let Some(at) = party.sending(&self.rules) else {
            return Err(Violation(format!("party {p} has no session to send on")));
        };
        if !party.entries[at].session.is_confirmed()
            && party.entries.iter().any(|entry| entry.confirmed > 0)
        {
            return Err(Violation(format!("party {p} sends content beside a confirmed session")));
        }
        // The peer's may be a thief's, who began it in the peer's name.
        if !party.entries[at].session.is_confirmed()
            && !party.entries[at].session.initiator
            && party.entries.iter().any(|entry| entry.session.initiator)
        {
            return Err(Violation(format!("party {p} sends content to whoever began a session")));
        }
        let envelope = party.envelopes.len();
        log.push(|| Step::Seal { party: p, probe: None, content, length, envelope });
        self.seal_on(p, at, content, length, true);
        log.push(|| self.looks(p));
        Ok(())
    }

    fn seal_on(&mut self, p: usize, at: usize, content: u8, length: usize, stored: bool) {
        let rules = self.rules;
        let party = &mut self.parties[p];
        let mut session = Session::clone(&party.entries[at].session);
        let fresh = fresh(p, &session, party.leaks);
        let envelope = session.seal(content, length, fresh, &rules);
        let item = Item {
            envelope: party.envelopes.len() as u8,
            session: envelope.session,
            position: envelope.position,
            content,
        };
        party.envelopes.push(Shared::new(envelope));
        assert!(party.envelopes.len() <= 128, "an envelope is a bit in a mask");
        if stored {
            party.outbox.push(item);
            let at = party.replace(session, &rules);
            party.entries[at].unanswered = false;
            if item.position == (0, 0) && party.entries[at].session.initiator {
                party.entries[at].begun = party.next_count();
            }
            if !party.entries[at].session.initiator && party.entries[at].answered == 0 {
                party.entries[at].answered = party.next_count();
            }
            party.evict(&rules);
        }
    }

    /// Sends what sessions owe, as a client does after each message that it opened.
    fn nudge(&mut self, p: usize, log: &mut Log) -> Result<(), Violation> {
        let before = self.sending_name(p);
        let owes = |party: &Party, rules: &Rules| {
            party.sending(rules).filter(|at| party.entries[*at].session.owes_progress())
        };
        if let Some(at) = owes(&self.parties[p], &self.rules) {
            self.probe(p, at, log);
        }
        for _ in 0..7 {
            match self.parties[p].probe_due(&self.rules) {
                Some(at) => self.probe(p, at, log),
                None => break,
            }
        }
        if before != self.sending_name(p) {
            self.seal_again(p, log)?;
        }
        Ok(())
    }

    fn probe(&mut self, p: usize, at: usize, log: &mut Log) {
        let party = &self.parties[p];
        let (probe, envelope) = (Some(party.entries[at].session.name), party.envelopes.len());
        log.push(|| Step::Seal { party: p, probe, content: 0, length: 0, envelope });
        self.seal_on(p, at, 0, 0, true);
        log.push(|| self.looks(p));
    }

    fn sending_name(&self, p: usize) -> Option<u8> {
        let party = &self.parties[p];
        party.sending(&self.rules).map(|at| party.entries[at].session.name)
    }

    /// Sending moved: content that is not acknowledged is sealed on the session that sends now.
    fn seal_again(&mut self, p: usize, log: &mut Log) -> Result<(), Violation> {
        let Some(sending) = self.sending_name(p) else { return Ok(()) };
        let party = &mut self.parties[p];
        let (done, gone) = (party.done, party.gone);
        let waits = |content: u8| (done | gone) >> content & 1 == 0;
        let there = |party: &Party, content| {
            party.outbox.iter().any(|it| it.session == sending && it.content == content)
        };
        let again: Vec<u8> = (1..=party.written)
            .filter(|content| waits(*content) && !there(party, *content))
            .collect();
        if self.rules.has(Planted::OutboxForgottenOnMove) {
            party.outbox.retain(|item| item.session == sending);
        }
        for content in again {
            self.seal(p, content, SMALL, log)?;
        }
        Ok(())
    }

    fn deliver(&mut self, to: usize, index: usize, log: &mut Log) -> Result<(), Violation> {
        let rules = self.rules;
        let envelope = self.parties[1 - to].envelopes[index].clone();
        let before = self.sending_name(to);
        let lives = self.lives;
        let earlier = (1_u128 << index) - 1;
        self.overtaken |= self.parties[to].opened & earlier != earlier;
        let party = &mut self.parties[to];
        let fresh = party.opened >> index & 1 == 0;
        let refuse = |refusal, log: &mut Log| {
            log.push(|| Step::Refuse { party: to, envelope: index, mauled: false, refusal });
        };
        let found = party.entry(envelope.session);
        let known =
            found.filter(|_| !rules.has(Planted::HandshakeForgotten) || envelope.init.is_none());
        let (session, opened) = match (known, envelope.init) {
            (Some(at), _) => {
                let session = &party.entries[at].session;
                match session.open(&envelope, false, &rules) {
                    Ok(result) => result,
                    Err((refusal, _)) if fresh => {
                        return Err(Violation(format!(
                            "party {to} cannot open envelope {index} of its peer: {refusal:?}"
                        )));
                    }
                    Err((refusal, _)) => {
                        refuse(refusal, log);
                        return Ok(());
                    }
                }
            }
            (None, Some(life)) if life == party.life && self.may_answer(to, &envelope) => {
                let party = &mut self.parties[to];
                let name = envelope.session;
                let session = Session::respond(name, life, prekey(to, life));
                let (session, opened) = session
                    .open(&envelope, false, &rules)
                    .map_err(|_| Violation(format!("party {to} cannot answer session {name}")))?;
                party.answered |= 1 << name;
                let clone = || opened.clone();
                log.push(|| Step::Respond { party: to, envelope: index, name, opened: clone() });
                (session, opened)
            }
            // No session, or a first message of one that is gone.
            _ => {
                refuse(Refusal::NotForThisSession, log);
                return Ok(());
            }
        };
        if !fresh {
            return Err(Violation(format!("party {to} opened envelope {index} twice")));
        }
        let party = &mut self.parties[to];
        let (name, was_there) = (session.name, found.is_some());
        party.opened |= 1 << index;
        let at = party.replace(session, &rules);
        party.entries[at].unanswered |= was_there && opened.content > 0;
        let dropped = party.evict(&rules);
        let sending = party.sending(&rules).map(|at| party.entries[at].session.name);
        let moved = before != sending;
        if was_there {
            log.push(|| Step::Open {
                party: to,
                envelope: index,
                opened: opened.clone(),
                session: name,
                moved,
                dropped,
            });
        }
        if let Some(at) = party.entry(name)
            && party.entries[at].session.kem.awaits_entry()
            && (party.knows || envelope.manifest)
        {
            party.knows = true;
            for entry in &mut party.entries {
                let name = entry.session.name;
                if entry.session.kem.awaits_entry() {
                    let life = lives[usize::from(name)];
                    let mut session = Session::clone(&entry.session);
                    session.kem.introduce(device_kem(1 - to, life));
                    entry.session = Shared::new(session);
                    log.push(|| Step::Introduce { party: to, name, life: life.into() });
                }
            }
        }
        log.push(|| self.looks(to));
        self.opened(to, name, &opened)?;
        if before != self.sending_name(to) {
            self.seal_again(to, log)?;
        }
        if rules.eager {
            self.nudge(to, log)?;
        }
        Ok(())
    }

    /// What the client does with a message that was opened.
    fn opened(&mut self, to: usize, name: u8, opened: &Opened) -> Result<(), Violation> {
        let [a, b] = &mut self.parties;
        let (party, peer) = if to == 0 { (a, b) } else { (b, a) };
        if opened.refused || opened.beyond {
            return Err(Violation(format!("party {to} blames its honest peer: {opened:?}")));
        }
        party.seen |= u64::from(opened.content > 0) << opened.content;
        let Some((chain, count)) = opened.acknowledged else { return Ok(()) };
        let covered = |item: &Item| {
            item.session == name
                && (item.position.0 < chain
                    || (item.position.0 == chain && item.position.1 < count))
        };
        for item in party.outbox.iter().filter(|item| covered(item)) {
            if peer.opened >> item.envelope & 1 == 0 {
                let lost = item.envelope;
                return Err(Violation(format!(
                    "envelope {lost} of party {to} is lost: acknowledged and never opened"
                )));
            }
            party.done |= u64::from(item.content > 0) << item.content;
        }
        party.outbox.retain(|item| !covered(item));
        Ok(())
    }

    fn may_answer(&self, to: usize, envelope: &Envelope) -> bool {
        self.parties[to].answered >> envelope.session & 1 == 0
            || self.rules.has(Planted::HandshakeForgotten)
    }

    fn maul(&mut self, to: usize, index: usize, log: &mut Log) {
        let envelope = self.parties[1 - to].envelopes[index].clone();
        let Some(at) = self.parties[to].entry(envelope.session) else { return };
        let opened = self.parties[to].entries[at].session.open(&envelope, true, &self.rules);
        if let Err((refusal, changed)) = opened {
            log.push(|| Step::Refuse { party: to, envelope: index, mauled: true, refusal });
            if let Some(session) = changed {
                self.parties[to].replace(*session, &self.rules);
            }
        }
        log.push(|| self.looks(to));
    }

    fn crash_sealing(&mut self, p: usize) -> Result<(), Violation> {
        if self.rules.has(Planted::SentBeforePersisted)
            && let Some(at) = self.parties[p].sending(&self.rules)
        {
            self.parties[p].written += 1;
            let content = self.parties[p].written;
            // Nobody knows of it any more but the network.
            self.parties[p].gone |= 1 << content;
            self.seal_on(p, at, content, SMALL, false);
            self.parties[p].leaks += 1;
        }
        Ok(())
    }

    fn crash_opening(&mut self, to: usize, index: usize) -> Result<(), Violation> {
        let envelope = self.parties[1 - to].envelopes[index].clone();
        let Some(at) = self.parties[to].entry(envelope.session) else { return Ok(()) };
        let party = &mut self.parties[to];
        let mut session = Session::clone(&party.entries[at].session);
        if self.rules.has(Planted::OwnKeyWipedBeforeCommit) {
            session.lose_own_key(&envelope);
            party.replace(session, &self.rules);
        } else if self.rules.has(Planted::AcknowledgedBeforeCommit)
            && let Ok((session, _)) = session.open(&envelope, false, &self.rules)
        {
            party.replace(session, &self.rules);
        }
        Ok(())
    }

    fn lose(&mut self, p: usize, log: &mut Log) {
        let party = &mut self.parties[p];
        let waiting = (1..=party.written).filter(|content| party.done >> content & 1 == 0);
        party.gone |= waiting.fold(0, |mask, content| mask | 1 << content);
        party.entries.clear();
        party.outbox.clear();
        (party.count, party.answered, party.knows) = (0, 0, false);
        party.life += 1;
        log.push(|| Step::Lose { party: p });
    }
}

/// Names what a party draws for one message of a session.
fn fresh(p: usize, session: &Session, leaks: u8) -> Term {
    let epoch = u64::from(session.kem.epoch);
    term(Of::RatchetKey, &[p as u64, u64::from(session.name), epoch, u64::from(leaks)])
}

fn prekey(p: usize, life: u8) -> Term {
    term(Of::Prekey, &[p as u64, u64::from(life)])
}

fn device_kem(p: usize, life: u8) -> Term {
    term(Of::DeviceKem, &[p as u64, u64::from(life)])
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
