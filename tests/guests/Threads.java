import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
public class Threads {
  static String s;
  public static void main(String[] a) throws Exception {
    ExecutorService ex = Executors.newFixedThreadPool(8);
    List<Future<Long>> fs = new ArrayList<>();
    for (int i = 0; i < 20; i++) { final int n = i; fs.add(ex.submit(() -> { long x = 0; for (int j = 0; j < 100000; j++) x += j ^ n; return x; })); }
    long sum = 0; for (Future<Long> f : fs) sum += f.get();
    System.out.println(sum);
    ex.shutdown(); System.out.println(ex.awaitTermination(5, TimeUnit.SECONDS));
    for (int i = 0; i < 3; i++) try { System.out.println(s.length()); } catch (NullPointerException e) { System.out.println("NPE " + (e.getMessage() != null)); }
    try { int z = a.length; System.out.println(1 / z); } catch (ArithmeticException e) { System.out.println(e.getMessage()); }
    try { rec(0); } catch (StackOverflowError e) { System.out.println("SOE"); }
    AtomicInteger c = new AtomicInteger();
    Thread[] ts = new Thread[50]; for (int i = 0; i < 50; i++) { ts[i] = new Thread(() -> { synchronized (Threads.class) { c.incrementAndGet(); } }); ts[i].start(); }
    for (Thread t : ts) t.join();
    System.out.println(c.get());
    System.gc(); Map<Integer,String> m = new HashMap<>(); for (int i = 0; i < 200000; i++) m.put(i, "x" + i); System.out.println(m.size());
  }
  static int rec(int n) { return rec(n + 1) + 1; }
}
