using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Tokenizers;
using Zqfp.Tokenizers;

if (args.Length != 2)
{
    Console.Error.WriteLine("usage: dotnet run -c Release -- <tokenizer.json or .model> <text file>");
    return 2;
}

const int Rounds = 15;
string text = File.ReadAllText(args[1]);
double megabytes = new FileInfo(args[1]).Length / 1e6;

// A fresh tokenizer has no words in its cache; the last rounds of one instance find nearly all of them there.
double[] cold = [.. Enumerable.Range(0, Rounds).Select(_ => Rate(PretrainedTokenizer.Load(args[0]), text))];
Tokenizer tokenizer = PretrainedTokenizer.Load(args[0]);
double[] warm = [.. Enumerable.Range(0, Rounds).Select(_ => Rate(tokenizer, text))];
string longWord = string.Create(1 << 20, new Random(1), static (word, random) =>
{
    for (int i = 0; i < word.Length; i++)
    {
        word[i] = (char)('a' + random.Next(26));
    }
});
var watch = Stopwatch.StartNew();
tokenizer.CountTokens(longWord);
Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
    $"empty cache {Median(cold):F1} MB per processor second, filled cache {Median(warm):F1} MB per processor second, a word of a million "
    + $"letters {watch.ElapsedMilliseconds} ms"));
return 0;

double Rate(Tokenizer measured, string input)
{
    // Processor time, not the clock's: a busy machine must not make the tokenizer look slow.
    TimeSpan before = Environment.CpuUsage.TotalTime;
    measured.CountTokens(input);
    return megabytes / (Environment.CpuUsage.TotalTime - before).TotalSeconds;
}

static double Median(double[] values) => values.Order().ElementAt(values.Length / 2);
