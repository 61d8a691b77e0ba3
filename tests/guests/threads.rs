// Threads that share a counter and send through a channel, one that panics, a child process.
use std::process::Command;
use std::sync::{mpsc, Arc, Condvar, Mutex};
use std::thread;

fn main() {
    let counter = Arc::new(Mutex::new(0u64));
    let (sender, receiver) = mpsc::channel();
    let workers: Vec<_> = (0..8)
        .map(|number| {
            let (counter, sender) = (counter.clone(), sender.clone());
            thread::spawn(move || {
                for _ in 0..1000 {
                    *counter.lock().unwrap() += number;
                }
                sender.send(number).unwrap();
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    drop(sender);
    let mut seen: Vec<u64> = receiver.iter().collect();
    seen.sort();
    println!("{} {:?}", *counter.lock().unwrap(), seen);
    std::panic::set_hook(Box::new(|_| {}));
    println!("panicked: {}", thread::spawn(|| panic!("boom")).join().is_err());
    let pair = Arc::new((Mutex::new(false), Condvar::new()));
    let other = pair.clone();
    thread::spawn(move || {
        *other.0.lock().unwrap() = true;
        other.1.notify_one();
    });
    let mut ready = pair.0.lock().unwrap();
    while !*ready {
        ready = pair.1.wait(ready).unwrap();
    }
    let output = Command::new("/bin/sh").args(["-c", "echo from a child; exit 3"]).output().unwrap();
    println!("{:?} {:?}", String::from_utf8_lossy(&output.stdout), output.status.code());
}
