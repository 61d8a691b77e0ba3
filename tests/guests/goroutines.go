package main

import (
	"fmt"
	"sort"
	"sync"
	"time"
)

func main() {
	var wg sync.WaitGroup
	var mu sync.Mutex
	out := []int{}
	ch := make(chan int, 10)
	for i := 0; i < 100; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			time.Sleep(time.Duration(i%7) * time.Millisecond)
			mu.Lock()
			out = append(out, i*i)
			mu.Unlock()
			ch <- i
		}(i)
	}
	sum := 0
	for i := 0; i < 100; i++ {
		sum += <-ch
	}
	wg.Wait()
	sort.Ints(out)
	fmt.Println(len(out), out[99], sum)
	func() {
		defer func() { fmt.Println("recovered:", recover()) }()
		var p *int
		*p = 1
	}()
	t := time.NewTicker(2 * time.Millisecond)
	n := 0
	for range t.C {
		n++
		if n == 5 {
			break
		}
	}
	spin := make(chan bool)
	go func() {
		x := 0
		for i := 0; i < 30000000; i++ {
			x += i
		}
		spin <- x > 0
	}()
	select {
	case v := <-spin:
		fmt.Println("spun", v)
	case <-time.After(20 * time.Second):
		fmt.Println("timeout")
	}
}
