// Package watch tells when files and directories are no longer what they were.
//
// What counts is what the files hold: a Sight is taken before a program reads
// them, and a Watcher compares it with what is there now. Events of the kernel
// (of the directories a file lies in, so that renames, the saves of editors and
// the swapped links of Kubernetes volumes are seen) only say when to look; every
// few seconds it looks anyway. So a lost event costs seconds, and an event
// without a change costs nothing.
//
// It follows links, survives the deletion and return of what it watches, and
// knows nothing of what the files are for.
package watch
