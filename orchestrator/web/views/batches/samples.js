// Files to start from. A test submits each of them and expects every line to be understood.

export const SAMPLES = [
  {
    name: "words.csv",
    label: "Words, CSV",
    about: "A column “say”, and a request in each row.",
    content: 'say\na happy cat\n"a red rocket, as a sticker"\ntwo sleepy foxes\n',
  },
  {
    name: "pictures.csv",
    label: "A tool, CSV",
    about: "A column “tool”, and a column for each of its arguments.",
    content:
      "tool,prompt,count,size\n" +
      "generate_image,happy cat,2,64\n" +
      "generate_image,red rocket,1,64\n" +
      "generate_image,blue fish,1,64\n",
  },
  {
    name: "mixed.jsonl",
    label: "Words and tools, JSONL",
    about: "A line is what you would say, or a call of a tool with its arguments.",
    content:
      '{"say": "a happy cat"}\n' +
      '{"tool": "generate_image", "args": {"prompt": "red rocket", "count": 2, "size": 64}}\n',
  },
];
