//! The model's steps, done by `chopmark_core`: each must come out as the model says.
//!
//! This is the only file here that knows the core's interface.

use std::sync::{Arc, LazyLock};

use chopmark_core::prekey::VerifiedBundle;
use chopmark_core::session::{Event, Incoming, OpenError, Session, SessionId, Status};
use chopmark_core::sessions::Sessions;
use chopmark_testkit::party::{DEVICE, NOW, Party};
use chopmark_testkit::seed::Seed;
use rand_chacha::ChaCha20Rng;

use super::planted::Rules;
use super::session::{self, Refusal};
use super::world::{Looks, LooksOfOne, Step, World};

/// Two parties with real keys.
#[derive(Clone)]
pub(super) struct Real {
    sides: [Side; 2],
    /// The ids of the sessions, by their names in the model.
    ids: [Option<SessionId>; 8],
    rules: Rules,
    rng: ChaCha20Rng,
}

#[derive(Clone, Default)]
struct Side {
    life: usize,
    /// Copied before it changes, by way of the store.
    sessions: Arc<Sessions>,
    envelopes: Vec<Arc<Vec<u8>>>,
}

/// Devices with their keys, for each party and life.
static DEVICES: LazyLock<[[(Party, VerifiedBundle); 2]; 2]> = LazyLock::new(|| {
    let mut rng = Seed::fixed(7).rng();
    [(); 2].map(|()| {
        [(); 2].map(|()| {
            let party = Party::new(&mut rng);
            let one_time = Some(party.one_time_part.as_slice());
            let bundle =
                VerifiedBundle::verify(&party.signed_part, one_time, &party.account, NOW).unwrap();
            (party, bundle)
        })
    })
});

impl Real {
    pub(super) fn new(rules: Rules, seed: u64) -> Self {
        Self { sides: Default::default(), ids: [None; 8], rules, rng: Seed::fixed(seed).rng() }
    }

    /// Does what the model did and says where the two differ. `world` is the model after `steps`.
    pub(super) fn follow(&mut self, steps: &[Step], world: &World) -> Result<(), String> {
        for step in steps {
            self.step(step, world).map_err(|why| format!("{why} at {step:?}"))?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step, world: &World) -> Result<(), String> {
        match step {
            Step::Begin { party, name } => self.begin(*party, *name),
            Step::Seal { party, probe, content, length, envelope } => {
                let bytes = content_of(*party, *content, *length);
                self.seal(*party, probe.map(usize::from), &bytes)?;
                let expected = &world.parties[*party].envelopes[*envelope];
                let sealed = self.sides[*party].envelopes.last().ok_or("nothing")?;
                same("number", self.sides[*party].envelopes.len(), envelope + 1)?;
                same("length", sealed.len(), expected.length)?;
                same("version", sealed[0], if expected.init.is_some() { 2 } else { 1 })
            }
            Step::Respond { party, envelope, name, opened } => {
                let side = &self.sides[*party];
                let (us, _) = &DEVICES[*party][side.life];
                let bytes = &self.sides[1 - party].envelopes[*envelope];
                let (signed, one_time) = (&us.signed, Some(&us.one_time));
                let real = Session::respond(&us.own(), signed, one_time, bytes, NOW)
                    .map_err(|error| error.to_string())?;
                same("session", Some(real.session.id()), self.ids[usize::from(*name)])?;
                compare(1 - party, &real.message, opened)?;
                self.change(*party, |sessions| {
                    sessions.insert(real.session);
                    Ok(())
                })
            }
            Step::Open { party, envelope, opened, session, moved, dropped } => {
                let bytes = Arc::clone(&self.sides[1 - party].envelopes[*envelope]);
                let mut incoming = None;
                self.change(*party, |sessions| {
                    let real = sessions.open(&bytes, NOW).map_err(|error| error.to_string())?;
                    incoming = Some(real.commit(stored)?);
                    Ok(())
                })?;
                let real = incoming.ok_or("nothing")?;
                same("session", Some(real.session), self.ids[usize::from(*session)])?;
                compare(1 - party, &real, opened)?;
                same("moved", real.moved, *moved)?;
                let dropped: Vec<_> = dropped.iter().map(|it| self.ids[usize::from(*it)]).collect();
                same("dropped", real.dropped.into_iter().map(Some).collect(), dropped)
            }
            Step::Refuse { party, envelope, mauled, refusal } => {
                let bytes = &self.sides[1 - party].envelopes[*envelope];
                let mut bytes = bytes.to_vec();
                if *mauled {
                    let last_of_body = bytes.len() - 17;
                    bytes[last_of_body] ^= 1;
                }
                self.change(*party, |sessions| {
                    let before = sessions.export();
                    let real = sessions.open(&bytes, NOW).err();
                    let real = real.ok_or("it was opened")?;
                    same("refusal", kind(real), Some(*refusal))?;
                    // SPEC §1.5 [errors-change-nothing].
                    same("state", &sessions.export(), &before)
                })
            }
            Step::Introduce { party, name, life } => {
                let (peer, _) = &DEVICES[1 - party][*life];
                let entry = peer.manifest.device(DEVICE).ok_or("no device")?;
                let id = self.ids[usize::from(*name)].ok_or("no such session")?;
                self.change(*party, |sessions| {
                    let session = sessions.find(id).ok_or("it is gone")?.export();
                    let mut session =
                        Session::import(&session).map_err(|error| error.to_string())?;
                    session.introduce(&peer.account, entry).map_err(|error| error.to_string())?;
                    sessions.insert(session);
                    Ok(())
                })
            }
            Step::Lose { party } => {
                let side = &mut self.sides[*party];
                (side.sessions, side.life) = (Arc::default(), side.life + 1);
                Ok(())
            }
            Step::Compare { party, looks } => same("looks", self.looks(*party), looks.clone()),
        }
    }

    /// Begins a session, as often as it takes for its id to stand where the model has it.
    fn begin(&mut self, party: usize, name: u8) -> Result<(), String> {
        let (us, _) = &DEVICES[party][self.sides[party].life];
        let (_, bundle) = &DEVICES[1 - party][self.sides[1 - party].life];
        let rank = self.rules.ranks[usize::from(name)];
        loop {
            let session = Session::initiate(&us.own(), bundle, NOW, &mut self.rng)
                .map_err(|error| error.to_string())?;
            if session.id().as_bytes()[0] >> 5 == rank {
                self.ids[usize::from(name)] = Some(session.id());
                return self.change(party, |sessions| {
                    sessions.insert(session);
                    Ok(())
                });
            }
        }
    }

    fn seal(&mut self, party: usize, probe: Option<usize>, content: &[u8]) -> Result<(), String> {
        let (ids, mut rng) = (self.ids, self.rng.clone());
        let mut outgoing = None;
        self.change(party, |sessions| {
            let sealed = match probe {
                Some(name) => {
                    let id = ids[name].ok_or("no such session")?;
                    sessions.seal_probe(id, &[], NOW, &mut rng)
                }
                None => sessions.seal(content, NOW, &mut rng),
            };
            let sealed = sealed.map_err(|error| error.to_string())?;
            outgoing = Some(sealed.commit(stored)?);
            Ok(())
        })?;
        self.rng = rng;
        let envelope = outgoing.ok_or("nothing")?.envelope.into_bytes();
        self.sides[party].envelopes.push(Arc::new(envelope));
        Ok(())
    }

    /// Changes a party's sessions as a process does that was just started: what the store has is all there is.
    fn change(
        &mut self,
        party: usize,
        change: impl FnOnce(&mut Sessions) -> Result<(), String>,
    ) -> Result<(), String> {
        let stored = self.sides[party].sessions.export();
        let mut sessions = Sessions::import(&stored).map_err(|error| error.to_string())?;
        same("import", &sessions.export(), &stored)?;
        change(&mut sessions)?;
        self.sides[party].sessions = Arc::new(sessions);
        Ok(())
    }

    /// A process that dies after it sealed and before it stored: what it made is gone, and what the store has is as good
    /// as before.
    pub(super) fn crash_sealing(&mut self, party: usize) -> Result<(), String> {
        let mut rng = self.rng.clone();
        let died = self.change(party, |sessions| {
            let sealed =
                sessions.seal(b"never", NOW, &mut rng).map_err(|error| error.to_string())?;
            sealed.commit(|_, _| Err(DIED.to_owned())).map(drop)
        });
        same("crash", died, Err(DIED.to_owned()))
    }

    /// A process that dies after it opened and before it stored.
    pub(super) fn crash_opening(&mut self, party: usize, envelope: usize) -> Result<(), String> {
        let bytes = Arc::clone(&self.sides[1 - party].envelopes[envelope]);
        let died = self.change(party, |sessions| {
            let opened = sessions.open(&bytes, NOW).map_err(|_| DIED.to_owned())?;
            opened.commit(|_, _| Err(DIED.to_owned())).map(drop)
        });
        same("crash", died, Err(DIED.to_owned()))
    }

    fn looks(&self, party: usize) -> Looks {
        let name = |id| {
            let at = self.ids.iter().position(|known| *known == Some(id));
            at.map_or(u8::MAX, |name| name as u8)
        };
        let sessions = &self.sides[party].sessions;
        let one = |session: &Session| LooksOfOne {
            name: name(session.id()),
            opening: session.status() == Status::Opening,
            epoch: session.epoch() as u8,
            acknowledgement: {
                let said = session.acknowledgement();
                (said.chain as u8, said.count as u8)
            },
            owes_progress: session.owes_progress(),
            awaits_introduction: session.awaits_introduction(),
        };
        Looks {
            sessions: sessions.iter().map(one).collect(),
            sending: sessions.sending().map(|session| name(session.id())),
            probe_due: sessions.probe_due().map(name),
        }
    }
}

const DIED: &str = "the process died";

fn stored<S, M>(_: &S, _: &M) -> Result<(), String> {
    Ok(())
}

fn content_of(party: usize, content: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0xa5; length];
    for (slot, byte) in bytes.iter_mut().zip([party as u8, content]) {
        *slot = byte;
    }
    bytes
}

fn compare(sender: usize, real: &Incoming, model: &session::Opened) -> Result<(), String> {
    let content = (real.content.first().copied(), real.content.get(1).copied());
    let expected = (model.content > 0).then_some(sender as u8);
    same("content", content, (expected, expected.map(|_| model.content)))?;
    same("position", (real.position.chain as u8, real.position.n as u8), model.position)?;
    let acknowledged = real.acknowledged.map(|said| (said.chain as u8, said.count as u8));
    same("acknowledged", acknowledged, model.acknowledged)?;
    let mut events: Vec<Event> = Vec::new();
    events.extend(model.mixed.map(|epoch| Event::EpochMixed { epoch: epoch.into() }));
    events.extend((model.mixed == Some(1)).then_some(Event::Confirmed));
    same("events", real.events.clone(), events)
}

fn kind(error: OpenError) -> Option<Refusal> {
    match error {
        OpenError::NotForThisSession => Some(Refusal::NotForThisSession),
        OpenError::AlreadyOpened { .. } => Some(Refusal::AlreadyOpened),
        OpenError::Forged => Some(Refusal::Forged),
        OpenError::PeerMisbehaved => Some(Refusal::Misbehaved),
        OpenError::PeerForked => Some(Refusal::Forked),
        _ => None,
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, real: T, model: T) -> Result<(), String> {
    if real == model { Ok(()) } else { Err(format!("{what}: {real:?} and not {model:?}")) }
}
