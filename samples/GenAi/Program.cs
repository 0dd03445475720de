using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Microsoft.ML.OnnxRuntimeGenAI;

// Generates text from a folder that dotnet zqfp quantize --for genai wrote:
// dotnet run -c Release -- FOLDER [PROMPT [TOKENS]] [--device cuda]
string device = "cpu";
if (args is [.. string[] others, "--device", string chosen])
{
    (args, device) = (others, chosen);
}

string folder = args[0];
string prompt = args.ElementAtOrDefault(1) ?? "Once upon a time";
int tokens = int.Parse(args.ElementAtOrDefault(2) ?? "100", CultureInfo.InvariantCulture);

using var handle = new OgaHandle();
using var config = new Config(folder);
if (device != "cpu")
{
    config.ClearProviders();
    config.AppendProvider(device);
    config.SetProviderOption(device, "enable_cuda_graph", "1");
}

using var model = new Model(config);
using var tokenizer = new Tokenizer(model);
if (File.Exists(Path.Combine(folder, "chat_template.jinja")) || File.ReadAllText(Path.Combine(folder, "tokenizer_config.json"))
    .Contains("\"chat_template\"", StringComparison.Ordinal))
{
    string conversation = $$"""[{ "role": "user", "content": {{JsonSerializer.Serialize(prompt)}} }]""";
    prompt = tokenizer.ApplyChatTemplate(template_str: "", conversation, tools: "", add_generation_prompt: true);
}

using Sequences input = tokenizer.Encode(prompt);
using var parameters = new GeneratorParams(model);
parameters.SetSearchOption("max_length", input[0].Length + tokens);
using var generator = new Generator(model, parameters);
using TokenizerStream stream = tokenizer.CreateStream();
generator.AppendTokenSequences(input);

long start = Stopwatch.GetTimestamp();
int generated = 0;
while (!generator.IsDone())
{
    generator.GenerateNextToken();
    ReadOnlySpan<int> sequence = generator.GetSequence(0);
    if (sequence.Length > input[0].Length + generated)
    {
        Console.Write(stream.Decode(sequence[^1])); // The token that ends a text is not added to it.
        generated++;
    }
}

double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
Console.WriteLine();
Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{generated} tokens, {generated / seconds:f0} tokens/s"));
