// Generates a short story with the model that the build quantized, on a Hopper GPU where there is one, else on the CPU:
//   dotnet run --project samples/ModelProject -c Release -- "Once upon a time, there was a cat" --seed 7
using Microsoft.ML.OnnxRuntime;
using Zqfp.CudaOps;
using Zqfp.Tokenizers;

const int LongestStory = 300;
const double Temperature = 0.7;

string model = Path.Combine(AppContext.BaseDirectory, "model", "model.onnx");
var tokenizer = PretrainedTokenizer.Load(Path.Combine(AppContext.BaseDirectory, "model", "tokenizer.json"));
int seedAt = Array.IndexOf(args, "--seed");
var random = new Random(seedAt >= 0 && seedAt + 1 < args.Length ? int.Parse(args[seedAt + 1]) : 1);
string prompt = args.Length > 0 && seedAt != 0 ? args[0] : "Once upon a time";
using SessionOptions options = new SessionOptions().AddZqfpOperators(ZqfpDevice.Auto);
using var session = new InferenceSession(model, options);

List<int> tokens = [.. tokenizer.EncodeToIds(prompt)];
Console.Write(prompt);
string written = prompt;
while (tokens.Count < LongestStory)
{
    int next = Sample(NextTokenLogits());
    if (next == tokenizer.EndOfSentenceId)
    {
        break;
    }

    tokens.Add(next);

    // A token may end within a character: wait for the one that completes it.
    string text = tokenizer.Decode(tokens);
    if (!text.EndsWith('\uFFFD') && text.Length > written.Length)
    {
        Console.Write(text[written.Length..]);
        written = text;
    }
}

Console.WriteLine();

// The model has no key-value cache: each token reads the whole story again, which a model of this size does in milliseconds.
float[] NextTokenLogits()
{
    long[] ids = [.. tokens.Select(token => (long)token)];
    using var run = new RunOptions();
    using var input = OrtValue.CreateTensorValueFromMemory(ids, [1, ids.Length]);
    using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(run, [session.InputNames[0]], [input], [session.OutputNames[0]]);
    int vocabulary = (int)outputs[0].GetTensorTypeAndShape().Shape[^1];
    return outputs[0].GetTensorDataAsSpan<float>()[^vocabulary..].ToArray();
}

int Sample(float[] logits)
{
    float largest = logits.Max();
    double[] weights = [.. logits.Select(logit => Math.Exp((logit - largest) / Temperature))];
    double threshold = random.NextDouble() * weights.Sum();
    int token = 0;
    for (double sum = weights[0]; sum < threshold && token < weights.Length - 1; sum += weights[token])
    {
        token++;
    }

    return token;
}
