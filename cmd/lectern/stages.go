package main

import (
	"lectern/adapters/connectapi"
	lecternv1 "lectern/adapters/connectapi/gen/lectern/v1"
	"lectern/domain"
)

// stages shows a course's events as progress, a bar a stage.
type stages struct {
	ui      progress
	planned map[domain.Queue]int64 // jobs queued and not given up for another
	done    map[domain.Queue]int64
	failure string // why the run ended, if it did for the worse
}

func newStages(ui progress) *stages {
	return &stages{ui: ui, planned: map[domain.Queue]int64{}, done: map[domain.Queue]int64{}}
}

func stageName(queue domain.Queue) string {
	switch queue {
	case domain.QueueDocumentProcessing:
		return "read documents"
	case domain.QueueSummarization:
		return "summarize"
	case domain.QueueStructureAnalysis:
		return "plan the course"
	case domain.QueueStructureGeneration:
		return "write the course"
	}
	return string(queue)
}

// see takes the next event.
func (s *stages) see(r *lecternv1.WatchCourseResponse) {
	e := r.GetEvent()
	data := e.GetEventData()
	queue := connectapi.QueueFromProto(data.GetQueue())
	switch e.GetEventType() {
	case lecternv1.EventType_EVENT_TYPE_JOB_CREATED:
		s.planned[queue]++
	case lecternv1.EventType_EVENT_TYPE_JOB_COMPLETED:
		s.done[queue]++
	case lecternv1.EventType_EVENT_TYPE_JOB_FAILED:
		s.planned[queue]--
		s.ui.say("%s: attempt %d failed: %s", stageName(queue), data.GetAttempt()+1, data.GetReason())
	case lecternv1.EventType_EVENT_TYPE_STATE_TRANSITIONED:
		if data.GetReason() != "" {
			s.failure = data.GetReason()
		}
		return
	default:
		return
	}
	s.ui.stage(stageName(queue), s.done[queue], s.planned[queue])
}
